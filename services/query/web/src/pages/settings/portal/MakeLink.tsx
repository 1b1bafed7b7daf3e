import { useMutation, useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";

import { detailAt } from "@/api/problem";
import { eventNamesQuery } from "@/api/queries/events";
import { makePortalToken } from "@/api/queries/portal";
import { FormDialog } from "@/components/FormDialog";
import { Segmented } from "@/components/Segmented";
import { Select } from "@/components/Select";
import { TextField } from "@/components/TextField";
import { useAccount } from "@/session/context";
import { text } from "@/text";

import { isEventId, linkOf, SHOWS, type Link, type Shows } from "./link";
import { LinkMade } from "./LinkMade";

const { create: words } = text.portal;

/** Asks what the link is to show, and for how long; then shows it, once. */
export function MakeLink({ onClose }: { onClose: () => void }) {
  const id = useId();
  const { accountId } = useAccount();
  const [shows, setShows] = useState<Shows>("event");
  const [event, setEvent] = useState("");
  const [life, setLife] = useState("28800");
  const [theme, setTheme] = useState<Link["theme"]>("system");
  const [shown, setShown] = useState(false);
  const events = useQuery(eventNamesQuery(accountId));
  const isEvent = shows === "event";
  const eventId = event.trim();
  const make = useMutation({
    mutationFn: () =>
      makePortalToken({ account_id: accountId, ...(isEvent ? { event_id: eventId } : {}), ttl_s: Number(life) }),
  });
  if (make.data !== undefined) {
    const { token, expires_at } = make.data;
    const link = linkOf({ origin: location.origin, shows, accountId, eventId, theme, token });
    return <LinkMade link={link} title={words.widgets[shows]} expiresAt={expires_at} onClose={onClose} />;
  }
  const isWrong = isEvent && !isEventId(event);
  const isPlaced = detailAt(make.error, "/event_id") !== undefined;
  return (
    <FormDialog
      title={words.title}
      submit={words.submit}
      busy={make.isPending}
      problem={isPlaced ? null : make.error}
      onClose={onClose}
      onSubmit={() => {
        setShown(true);
        if (!isWrong) make.mutate();
      }}
    >
      <Select
        label={words.widget}
        value={shows}
        onChange={(value) => setShows(SHOWS.find((one) => one === value) ?? "event")}
        options={SHOWS.map((value) => ({ value, label: words.widgets[value] }))}
      />
      {isEvent ? (
        <>
          <TextField
            label={words.event}
            hint={words.eventHint}
            list={`${id}-events`}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            value={event}
            error={shown && isWrong ? words.eventInvalid : detailAt(make.error, "/event_id")}
            onChange={(change) => setEvent(change.target.value)}
          />
          <datalist id={`${id}-events`}>
            {Object.entries(events.data ?? {}).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </datalist>
        </>
      ) : null}
      <Select
        label={words.life}
        value={life}
        onChange={setLife}
        options={words.lives.map(([value, label]) => ({ value, label }))}
      />
      <div className="field">
        <span className="field-label" aria-hidden="true">
          {words.theme}
        </span>
        <Segmented
          label={words.theme}
          value={theme}
          onChange={setTheme}
          options={(["system", "light", "dark"] as const).map((value) => ({ value, label: words.themes[value] }))}
        />
      </div>
    </FormDialog>
  );
}
