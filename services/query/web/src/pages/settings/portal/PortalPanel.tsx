import { useState } from "react";

import { Button } from "@/components/Button";
import { Panel } from "@/components/Panel";
import { text } from "@/text";

import { MakeLink } from "./MakeLink";

const { portal: words } = text;

/** Links that show a widget without a key. They are stored nowhere: there is no list of them. */
export function PortalPanel() {
  const [making, setMaking] = useState(false);
  return (
    <Panel
      title={words.title}
      actions={
        <Button size="small" onClick={() => setMaking(true)}>
          {words.add}
        </Button>
      }
    >
      <p className="muted small">{words.intro}</p>
      {making ? <MakeLink onClose={() => setMaking(false)} /> : null}
    </Panel>
  );
}
