import { useCallback, useReducer, useState, type FocusEvent, type KeyboardEvent, type PointerEvent } from "react";
import { indexAt, type Plot } from "./geometry";
import { CLOSED, isChartKey, moveCursor, type Cursor, type Extent, type Move } from "./keyboard";

interface Options {
  readonly plot: Plot;
  readonly extent: Extent;
  readonly onOpen: ((index: number) => void) | undefined;
}

export interface ChartCursor {
  readonly cursor: Cursor;
  /** The last move came from keys: only then is it read out. */
  readonly spoken: boolean;
  readonly close: () => void;
  readonly keyboard: {
    readonly onKeyDown: (event: KeyboardEvent) => void;
    readonly onFocus: (event: FocusEvent) => void;
    readonly onBlur: (event: FocusEvent) => void;
  };
  readonly pointer: {
    readonly onPointerMove: (event: PointerEvent<SVGElement>) => void;
    readonly onPointerDown: (event: PointerEvent<SVGElement>) => void;
    readonly onClick: () => void;
  };
}

/** Binds keys, focus, mouse and touch to the cursor of a chart. */
export function useChartCursor({ plot, extent, onOpen }: Options): ChartCursor {
  const [cursor, dispatch] = useReducer(
    (state: Cursor, action: { move: Move; extent: Extent }) => moveCursor(state, action.move, action.extent),
    CLOSED,
  );
  const [spoken, setSpoken] = useState(false);
  const [touched, setTouched] = useState(false);
  const move = (next: Move, speak: boolean) => {
    setSpoken(speak);
    dispatch({ move: next, extent });
  };
  const close = useCallback(() => {
    dispatch({ move: { kind: "leave" }, extent });
  }, [extent]);

  function onKeyDown(event: KeyboardEvent) {
    if (event.target !== event.currentTarget || event.altKey || event.ctrlKey || event.metaKey) return;
    if (isChartKey(event.key)) {
      event.preventDefault();
      move({ kind: "key", key: event.key }, true);
    } else if (event.key === "Escape" && cursor.open) {
      event.stopPropagation();
      move({ kind: "key", key: event.key }, true);
    } else if (event.key === "Enter" && cursor.open && onOpen) {
      event.preventDefault();
      onOpen(cursor.index);
    }
  }

  const point = (event: PointerEvent<SVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    move({ kind: "point", index: indexAt(plot, event.clientX - box.left), series: 0 }, false);
  };

  return {
    cursor,
    spoken,
    close,
    keyboard: {
      onKeyDown,
      onFocus: (event) => {
        // A click focuses as well, and has its own point.
        if (event.target === event.currentTarget && event.target.matches(":focus-visible"))
          move({ kind: "focus" }, true);
      },
      onBlur: (event) => {
        if (!event.currentTarget.parentElement?.contains(event.relatedTarget)) close();
      },
    },
    pointer: {
      onPointerMove: point,
      onPointerDown: (event) => {
        setTouched(event.pointerType !== "mouse");
        point(event);
      },
      // A finger looks first; the box has a button to go on.
      onClick: () => {
        if (!touched && cursor.open) onOpen?.(cursor.index);
      },
    },
  };
}
