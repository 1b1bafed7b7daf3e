import { CopyButton } from "./CopyButton";
import "./secret-box.css";

/** A secret that is shown this once, to be copied. */
export function SecretBox({ value, label }: { value: string; label: string }) {
  return (
    <div className="secret-box">
      <code data-testid="secret">{value}</code>
      <CopyButton value={value} label={label} />
    </div>
  );
}
