// What cannot wait for the program; a file of its own because inline scripts are not allowed.
(function () {
  // Before the first paint, so that no theme flashes. The choice is "light", "dark" or nothing, which follows the system.
  var stored = null;
  try {
    stored = localStorage.getItem("tollbooth.theme");
  } catch (error) {
    // Storage may be forbidden: the system's theme it is.
  }
  var dark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";

  // Every page asks first who is signed in; the answer comes while the program does (src/api/begun.ts takes it). Widgets on
  // other sites have no session.
  if (location.pathname.indexOf("/embed/") !== 0) {
    window.tollboothBegun = { path: "/v1/session", response: fetch("/v1/session") };
    window.tollboothBegun.response.catch(function () {});
  }
})();
