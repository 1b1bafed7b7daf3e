import type { Page } from "playwright-core";

/**
 * What can be pressed and is smaller than a finger or a pointer wants (WCAG 2.5.8). A link within a sentence is as high as
 * its line, and what only the keyboard reaches is no target.
 */
export function smallTargets(page: Page, least: number): Promise<string[]> {
  return page.evaluate((px) => {
    const pressed = "a[href], button, input, select, textarea, summary";
    const small = [...document.querySelectorAll<HTMLElement>(pressed)].filter((element) => {
      if (element.closest("p, .skip-link, .visually-hidden") !== null && element.matches("a")) return false;
      if (getComputedStyle(element).visibility === "hidden") return false;
      // Of a choice, its label is pressed.
      const target = element.matches("[type=radio], [type=checkbox]") ? (element.closest("label") ?? element) : element;
      const box = target.getBoundingClientRect();
      return box.width > 0 && box.height > 0 && (box.height < px - 0.5 || box.width < Math.min(px, 24) - 0.5);
    });
    return small.map((element) => {
      const { width, height } = element.getBoundingClientRect();
      const name = element.textContent.trim() || element.getAttribute("aria-label") || element.className;
      return `${element.tagName.toLowerCase()} "${name}" ${String(Math.round(width))} x ${String(Math.round(height))}`;
    });
  }, least);
}
