import { Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import { Link, Outlet, useLocation } from "react-router";

import { Button, buttonClass } from "@/components/Button";
import { ErrorBoundary } from "@/components/ErrorBoundary";
import { Icon } from "@/components/Icon";
import { PageSkeleton } from "@/components/PageSkeleton";
import { useOptionalSession } from "@/session/context";
import { text } from "@/text";

import { AccountCard } from "./AccountCard";
import { Brand } from "./Brand";
import { Menu } from "./Menu";
import { SignOut } from "./SignOut";
import { ThemeSwitch } from "./ThemeSwitch";
import "./shell.css";

/** The frame of every page: menu on the left, on a phone behind a button. */
export function Shell({ children }: { children?: ReactNode }) {
  const session = useOptionalSession();
  const location = useLocation();
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const close = () => setOpen(false);

  // A new page is read from its beginning, also by a screen reader.
  const shownPath = useRef(location.pathname);
  useEffect(() => {
    if (shownPath.current === location.pathname) return;
    shownPath.current = location.pathname;
    window.scrollTo({ top: 0 });
    main.current?.focus({ preventScroll: true });
  }, [location.pathname]);

  useEffect(() => {
    if (!open) return;
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && setOpen(false);
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [open]);

  return (
    <div className="shell">
      <a className="skip-link" href="#content">
        {text.common.skip}
      </a>
      <aside className={`shell-side ${open ? "shell-side-open" : ""}`}>
        <Brand />
        {session === null ? null : <AccountCard session={session} />}
        <Menu kind={session?.session.kind ?? null} onNavigate={close} />
        <div className="shell-foot">
          <ThemeSwitch />
          {session === null ? (
            <Link to="/sign-in" className={buttonClass("primary")} onClick={close}>
              {text.common.signIn}
            </Link>
          ) : (
            <SignOut session={session} />
          )}
        </div>
      </aside>
      {open ? (
        <button type="button" className="shell-overlay" aria-label={text.common.menu.close} onClick={close} />
      ) : null}
      <div className="shell-main">
        <header className="shell-bar">
          <Brand />
          <Button
            variant="quiet"
            iconOnly
            aria-label={open ? text.common.menu.close : text.common.menu.open}
            aria-expanded={open}
            onClick={() => setOpen(!open)}
          >
            <Icon name={open ? "close" : "menu"} size={20} />
          </Button>
        </header>
        <main id="content" ref={main} className="shell-content" tabIndex={-1}>
          <ErrorBoundary key={location.pathname}>
            <Suspense fallback={<PageSkeleton />}>{children ?? <Outlet />}</Suspense>
          </ErrorBoundary>
        </main>
      </div>
    </div>
  );
}
