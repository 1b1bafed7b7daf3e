import type { Page } from "playwright-core";

/** Whatever moves on a page or would, with the seconds it takes: transitions, animations and smooth scrolling. */
export function moving(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const longest = (durations: string): number =>
      Math.max(...durations.split(",").map((one) => Number.parseFloat(one) / (one.includes("ms") ? 1_000 : 1) || 0));
    const found = new Set<string>();
    for (const element of document.querySelectorAll("*")) {
      const name = `${element.tagName.toLowerCase()} ${element.getAttribute("class") ?? ""}`.trim();
      for (const part of ["", "::before", "::after", "::backdrop"]) {
        const style = getComputedStyle(element, part === "" ? null : part);
        const seconds = Math.max(longest(style.transitionDuration), longest(style.animationDuration));
        if (seconds > 0) found.add(`${name}${part} ${String(seconds)} s`);
        if (style.scrollBehavior === "smooth") found.add(`${name}${part} scrolls`);
      }
      if (element instanceof SVGAnimationElement) found.add(name);
    }
    for (const animation of document.getAnimations()) {
      const duration = Number(animation.effect?.getComputedTiming().duration ?? 0);
      if (duration > 0) found.add(`${animation.id} ${String(duration)} ms`);
    }
    return [...found];
  });
}
