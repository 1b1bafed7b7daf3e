import { Suspense, useState } from "react";
import { Link, Navigate, Outlet, useLocation } from "react-router";

import { PageSkeleton } from "@/components/PageSkeleton";
import { LiveProvider } from "@/live/LiveProvider";
import { AccountProvider } from "@/session/AccountProvider";
import { useAccount, useOptionalSession } from "@/session/context";
import { howLeft } from "@/session/session";
import { AccountPicker } from "@/shell/AccountPicker";
import { OfflineBanner } from "@/shell/OfflineBanner";
import { text } from "@/text";

/** Pages of one account: somebody is signed in, the account is known and its stream is open. */
export function AccountPages() {
  const session = useOptionalSession();
  const location = useLocation();
  const [wasSignedIn] = useState(session !== null);
  if (session === null) {
    const left = howLeft();
    const state = left === null ? { from: location.pathname + location.search, ended: wasSignedIn } : { left };
    return <Navigate to="/sign-in" replace state={state} />;
  }
  if (session.accountId === null) {
    return (
      <div className="page choose-account">
        <h1>{text.common.adminChoose.title}</h1>
        <p className="muted">
          {text.common.adminChoose.text} <Link to="/fleet">{text.common.adminChoose.fleet}</Link>.
        </p>
        <AccountPicker current={null} onChoose={session.chooseAccount} />
      </div>
    );
  }
  return (
    <AccountProvider key={session.accountId} accountId={session.accountId}>
      <LiveProvider accountId={session.accountId}>
        <Banner />
        <Suspense fallback={<PageSkeleton />}>
          <Outlet />
        </Suspense>
      </LiveProvider>
    </AccountProvider>
  );
}

function Banner() {
  return <OfflineBanner zone={useAccount().zone} />;
}
