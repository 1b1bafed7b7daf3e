import { QueryClientProvider } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { BrowserRouter, Route, Routes } from "react-router";

import { makeQueryClient } from "@/api/query-client";
import { PageSkeleton } from "@/components/PageSkeleton";
import { askEarly } from "@/session/early";
import { SessionProvider } from "@/session/SessionProvider";
import { Shell } from "@/shell/Shell";

import { AccountPages } from "./AccountPages";
import { NotFound } from "./NotFound";
import { ACCOUNT_PAGES, EMBED, OPEN_PAGES, SIGN_IN } from "./pages";

export function App() {
  return (
    <BrowserRouter>
      <Suspense fallback={<PageSkeleton />}>
        <Routes>
          <Route path={EMBED.path} element={<EMBED.Page />} />
          <Route path="*" element={<Dashboards />} />
        </Routes>
      </Suspense>
    </BrowserRouter>
  );
}

function Dashboards() {
  const [queryClient] = useState(() => {
    const client = makeQueryClient();
    askEarly(client);
    return client;
  });
  return (
    <QueryClientProvider client={queryClient}>
      <SessionProvider loading={<PageSkeleton />}>
        <Routes>
          <Route path={SIGN_IN.path} element={<SIGN_IN.Page />} />
          <Route element={<Shell />}>
            {OPEN_PAGES.map(({ path, Page }) => (
              <Route key={path} path={path} element={<Page />} />
            ))}
            <Route element={<AccountPages />}>
              {ACCOUNT_PAGES.map(({ path, Page }) => (
                <Route key={path} path={path} element={<Page />} />
              ))}
            </Route>
            <Route path="*" element={<NotFound />} />
          </Route>
        </Routes>
      </SessionProvider>
    </QueryClientProvider>
  );
}
