const STORAGE_KEY = "tollbooth.account";
const ACCOUNT_ID = /^acc_[A-Za-z0-9_-]{1,64}$/;

/** The account an administrator looks at, kept for the tab: two tabs can show two accounts. */
export function storedAccount(): string | null {
  try {
    const id = sessionStorage.getItem(STORAGE_KEY);
    return id !== null && ACCOUNT_ID.test(id) ? id : null;
  } catch {
    return null;
  }
}

export function storeAccount(accountId: string | null): void {
  try {
    if (accountId === null) sessionStorage.removeItem(STORAGE_KEY);
    else sessionStorage.setItem(STORAGE_KEY, accountId);
  } catch {
    // Storage may be forbidden: the choice lasts until the page is loaded again.
  }
}

/** `?account=acc_...` of a link. */
export function accountOf(search: URLSearchParams): string | null {
  const id = search.get("account");
  return id !== null && ACCOUNT_ID.test(id) ? id : null;
}
