import { Button, buttonClass } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Icon } from "@/components/Icon";
import { SecretBox } from "@/components/SecretBox";
import { formatDateTime } from "@/format";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { frameOf } from "./link";

const { made: words } = text.portal;

interface Props {
  link: string;
  title: string;
  expiresAt: string;
  onClose: () => void;
}

/** The link, and the frame that shows it, to be copied. */
export function LinkMade({ link, title, expiresAt, onClose }: Props) {
  const { zone } = useAccount();
  return (
    <Dialog title={words.title} onClose={onClose}>
      <p>{words.text}</p>
      <SecretBox value={link} label={words.link} />
      <p className="muted small">{words.until(formatDateTime(expiresAt, zone))}</p>
      <p className="small">{words.frameText}</p>
      <SecretBox value={frameOf(link, title)} label={words.frame} />
      <div className="dialog-actions">
        <a href={link} target="_blank" rel="noreferrer" className={buttonClass()}>
          {words.open}
          <Icon name="external" size={15} />
        </a>
        <Button variant="primary" onClick={onClose}>
          {words.done}
        </Button>
      </div>
    </Dialog>
  );
}
