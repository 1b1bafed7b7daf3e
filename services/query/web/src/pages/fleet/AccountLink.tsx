import { useNavigate } from "react-router";

import { useSession } from "@/session/context";
import { text } from "@/text";

/** An account's name and id; leads to its dashboard. */
export function AccountLink({ accountId, name }: { accountId: string; name: string }) {
  const { chooseAccount } = useSession();
  const navigate = useNavigate();
  return (
    <>
      <button
        type="button"
        className="fleet-link"
        aria-label={text.fleet.accounts.open(name)}
        onClick={() => {
          chooseAccount(accountId);
          void navigate("/");
        }}
      >
        {name}
      </button>{" "}
      {name === accountId ? null : <span className="fleet-id">{accountId}</span>}
    </>
  );
}
