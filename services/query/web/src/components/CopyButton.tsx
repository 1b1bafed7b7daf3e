import { useEffect, useState } from "react";

import { text } from "@/text";

import { Button } from "./Button";
import { Icon } from "./Icon";

export function CopyButton({ value, label }: { value: string; label: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <Button
      variant="quiet"
      size="small"
      iconOnly
      aria-label={copied ? text.common.copied : `${text.common.copy} ${label}`}
      title={copied ? text.common.copied : text.common.copy}
      onClick={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}
    >
      <Icon name={copied ? "check" : "copy"} size={15} />
    </Button>
  );
}
