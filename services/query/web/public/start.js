// Before the first paint, so that no theme flashes; a file of its own because inline scripts are not allowed. The choice is
// "light", "dark" or nothing, which follows the system.
(function () {
  var stored = null;
  try {
    stored = localStorage.getItem("tollbooth.theme");
  } catch (error) {
    // Storage may be forbidden: the system's theme it is.
  }
  var dark = stored ? stored === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
