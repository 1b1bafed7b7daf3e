import { useEffect, useRef, type RefObject } from "react";

/** Closes on Escape and on a press elsewhere. `byKey`: whoever uses keys wants the focus back where it came from. */
export function useDismiss(frame: RefObject<HTMLElement | null>, open: boolean, close: (byKey: boolean) => void): void {
  const latest = useRef(close);
  useEffect(() => {
    latest.current = close;
  });
  useEffect(() => {
    if (!open) return undefined;
    const onPress = (event: PointerEvent) => {
      if (event.target instanceof Node && !frame.current?.contains(event.target)) latest.current(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") latest.current(true);
    };
    document.addEventListener("pointerdown", onPress);
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("pointerdown", onPress);
      document.removeEventListener("keydown", onKey);
    };
  }, [open, frame]);
}
