interface Props {
  title: string;
  /** Which days, in which zone. */
  note?: string;
}

/** What a widget shows: on a customer's page nothing else says so. */
export function EmbedHead({ title, note }: Props) {
  return (
    <header className="embed-head">
      <h1 className="embed-title">{title}</h1>
      {note === undefined ? null : <p className="muted small">{note}</p>}
    </header>
  );
}
