import { useNavigate } from "react-router";

import { useSession } from "@/session/context";
import { text } from "@/text";

interface Props {
  accountId: string;
  name: string;
  /** What a column of its own says where there is room for one. */
  narrow?: string | null;
}

/** An account's name and id; leads to its dashboard. */
export function AccountLink({ accountId, name, narrow = null }: Props) {
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
      {narrow === null ? null : <span className="fleet-id data-narrow">{narrow}</span>}
    </>
  );
}
