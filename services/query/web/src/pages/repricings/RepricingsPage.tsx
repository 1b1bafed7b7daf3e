import { Link } from "react-router";

import { buttonClass } from "@/components/Button";
import { usePageTitle } from "@/components/usePageTitle";
import { AdminOnly } from "@/session/AdminOnly";
import { text } from "@/text";

import { AllPanel } from "./AllPanel";
import "./repricings.css";

const { repricings: words } = text;

/** All re-pricings; for administrators. */
export default function RepricingsPage() {
  usePageTitle(words.title);
  return (
    <AdminOnly icon="repeat" title={words.adminOnly} hint={words.adminOnlyText}>
      <div className="page">
        <header className="page-head">
          <div>
            <h1>{words.title}</h1>
            <p className="muted">{words.intro}</p>
          </div>
          <Link to="/repricings/new" className={buttonClass("primary")}>
            {words.new}
          </Link>
        </header>
        <AllPanel />
      </div>
    </AdminOnly>
  );
}
