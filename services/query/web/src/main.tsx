import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app/App";
import { loadEarly } from "./app/pages";
import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./components/panel.css";

loadEarly(location.pathname);
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
