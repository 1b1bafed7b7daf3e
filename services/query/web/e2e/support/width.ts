import type { Page } from "playwright-core";

/**
 * What makes a page scroll sideways: its own width, and what stands out of the screen without a box of its own that
 * scrolls. Measured against the size of the screen, since a phone's browser zooms out until too wide a page fits, and
 * when what slides in has arrived.
 */
export function sideways(page: Page): Promise<string[]> {
  return page.evaluate(async (screen) => {
    const moving = document.getAnimations().filter((animation) => animation.effect?.getComputedTiming().endTime !== Infinity);
    // One that is cancelled, since its element went away, moves nothing any more either.
    await Promise.allSettled(moving.map((animation) => animation.finished));
    const wide = document.documentElement.scrollWidth;
    const scrolls = (element: Element): boolean => {
      for (let at = element.parentElement; at !== null && at !== document.body; at = at.parentElement) {
        if (getComputedStyle(at).overflowX !== "visible") return true;
      }
      return false;
    };
    const out = [...document.querySelectorAll("main *, header *, dialog *")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && box.right > screen + 1 && box.left < screen && !scrolls(element);
    });
    return [
      ...(wide > screen ? [`${String(wide)} px wide on ${String(screen)} px`] : []),
      ...out.slice(0, 5).map((element) => `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}">`),
    ];
  }, page.viewportSize()?.width ?? 0);
}

/** Lists that a phone does not show as cards: they still scroll in the box they have. */
export function scrollingLists(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const boxes = [...document.querySelectorAll(".data-scroll:has(> .data-cards)")];
    const wide = boxes.filter((box) => box.scrollWidth > box.clientWidth + 1);
    return wide.map((box) => `"${box.getAttribute("aria-label") ?? ""}" is ${String(box.scrollWidth)} px wide`);
  });
}

/** Tables that stand out of the panel they are in, without a box of their own that scrolls. */
export function beyondPanels(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const out = [...document.querySelectorAll("section.panel table")].filter((table) => {
      const panel = table.closest("section.panel");
      for (let at = table.parentElement; at !== null && at !== panel; at = at.parentElement) {
        if (getComputedStyle(at).overflowX !== "visible") return false;
      }
      return panel !== null && table.getBoundingClientRect().right > panel.getBoundingClientRect().right + 1;
    });
    return out.map((table) => `<table class="${table.className}"> stands out of its panel`);
  });
}
