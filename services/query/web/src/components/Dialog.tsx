import { useEffect, useId, useRef, type ReactNode } from "react";

import { text } from "@/text";

import { Button } from "./Button";
import { Icon } from "./Icon";
import "./dialog.css";

export interface DialogProps {
  title: ReactNode;
  onClose: () => void;
  /** A drawer comes from the side and is as high as the page. */
  kind?: "dialog" | "drawer";
  /** False while closing would leave something half done. */
  closable?: boolean;
  children: ReactNode;
}

/** The browser's own modal dialog: it holds the focus, closes on Esc and gives the focus back. Mounted is open. */
export function Dialog({ title, onClose, kind = "dialog", closable = true, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();

  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    if (dialog !== null && !dialog.open) dialog.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);

  return (
    <dialog
      ref={ref}
      className={`dialog ${kind === "drawer" ? "dialog-drawer" : ""}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (closable) onClose();
      }}
      onClick={(event) => {
        // The backdrop belongs to the dialog's own box.
        if (closable && event.target === ref.current) onClose();
      }}
    >
      <div className="dialog-head">
        <h2 id={id}>{title}</h2>
        <Button variant="quiet" size="small" iconOnly aria-label={text.common.close} disabled={!closable} onClick={onClose}>
          <Icon name="close" />
        </Button>
      </div>
      <div className="dialog-body">{children}</div>
    </dialog>
  );
}
