import { usePageTitle } from "@/components/usePageTitle";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { VersionsPanel } from "./VersionsPanel";

const { priceBooks: words } = text;

/** All price books; for administrators. */
export default function PriceBooksPage() {
  usePageTitle(words.title);
  return (
    <AdminOnly icon="book" title={words.adminOnly} hint={words.adminOnlyText}>
      <div className="page">
        <header className="page-head">
          <div>
            <h1>{words.title}</h1>
            <p className="muted">{words.intro}</p>
          </div>
        </header>
        <VersionsPanel />
      </div>
    </AdminOnly>
  );
}
