import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link, Navigate, useLocation } from "react-router";

import { Button } from "@/components/Button";
import { CoinIcon } from "@/components/CoinIcon";
import { TextField } from "@/components/TextField";
import { useOptionalSession } from "@/session/context";
import { clearFragment, keyInFragment, replaceSession, signIn } from "@/session/session";
import { text } from "@/text";

import "./sign-in.css";
import { keyError, signInError } from "./sign-in-error";

// Where to go after signing in; never to another site.
function targetOf(state: unknown): string {
  const from = typeof state === "object" && state !== null && "from" in state ? state.from : null;
  return typeof from === "string" && from.startsWith("/") && !from.startsWith("//") ? from : "/";
}

// Why somebody who was signed in is here, where there is something to say about it.
function noteOf(state: unknown): "ended" | "pending" | null {
  if (typeof state !== "object" || state === null) return null;
  if ("left" in state && state.left === "here") return "pending";
  return "ended" in state && state.ended === true ? "ended" : null;
}

export default function SignInPage() {
  const session = useOptionalSession();
  const queryClient = useQueryClient();
  const location = useLocation();
  const [linked, setLinked] = useState(() => keyInFragment(window.location));
  const [key, setKey] = useState(linked ?? "");
  const [error, setError] = useState<string | undefined>();
  const input = useRef<HTMLInputElement>(null);

  const { mutate, isPending, isSuccess } = useMutation({
    mutationFn: signIn,
    onSuccess: (value) => replaceSession(queryClient, value),
    onError: (problem) => {
      setError(signInError(problem));
      input.current?.focus();
    },
  });

  useEffect(() => {
    clearFragment(window.location, window.history);
    // Another link opened where this page is open already loads nothing anew.
    const onHashChange = () => {
      const next = keyInFragment(window.location);
      clearFragment(window.location, window.history);
      if (next === null) return;
      setLinked(next);
      setKey(next);
      setError(undefined);
    };
    window.addEventListener("hashchange", onHashChange);
    return () => window.removeEventListener("hashchange", onHashChange);
  }, []);

  useEffect(() => {
    document.title = `${text.signIn.title} \u00b7 ${text.common.product}`;
  }, []);

  // A link's key is for the visitor to take or leave, also while another one is signed in.
  const isDone = session !== null && !isPending && (linked === null || isSuccess);
  if (isDone) return <Navigate to={targetOf(location.state)} replace />;
  const note = noteOf(location.state);

  const submit = () => {
    const trimmed = key.trim();
    const wrong = keyError(trimmed);
    setError(wrong ?? undefined);
    if (wrong === null) mutate(trimmed);
    else input.current?.focus();
  };

  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <div className="sign-in-head">
          <CoinIcon size={36} />
          <h1>{text.signIn.title}</h1>
          <p className="muted small">{text.signIn.intro}</p>
        </div>
        {note !== null && linked === null && error === undefined ? (
          <p className={`sign-in-note ${note === "pending" ? "sign-in-warning" : ""}`} role="status">
            {text.signIn[note]}
          </p>
        ) : null}
        {linked === null || error !== undefined ? null : (
          <p className="sign-in-note" role="status">
            {session === null ? text.signIn.linked : text.signIn.linkedOver}
          </p>
        )}
        <form
          className="sign-in-form"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (!isPending) submit();
          }}
        >
          <TextField
            label={text.signIn.label}
            type="password"
            required
            autoFocus
            autoComplete="current-password"
            spellCheck={false}
            inputRef={input}
            value={key}
            error={error}
            hint={text.signIn.hint}
            onChange={(event) => setKey(event.target.value)}
          />
          <Button type="submit" variant="primary" busy={isPending}>
            {isPending ? text.signIn.working : text.signIn.submit}
          </Button>
        </form>
      </div>
      <Link to="/pricing" className="small">
        {text.signIn.pricing}
      </Link>
    </main>
  );
}
