import { useState } from "react";

import { Button } from "@/components/Button";
import { TextField } from "@/components/TextField";
import { text } from "@/text";

const ACCOUNT_ID = /^acc_[A-Za-z0-9_-]{1,64}$/;

export function AccountById({ onChoose }: { onChoose: (accountId: string) => void }) {
  const [id, setId] = useState("");
  return (
    <form
      className="skeleton-stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (ACCOUNT_ID.test(id.trim())) onChoose(id.trim());
      }}
    >
      <TextField
        label={text.common.accountId}
        placeholder="acc_"
        pattern="acc_[A-Za-z0-9_\-]{1,64}"
        required
        value={id}
        onChange={(event) => setId(event.target.value)}
      />
      <div>
        <Button type="submit" variant="primary">
          {text.common.show}
        </Button>
      </div>
    </form>
  );
}
