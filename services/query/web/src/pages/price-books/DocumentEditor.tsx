import { useDeferredValue, useId, useLayoutEffect, useMemo, useRef } from "react";

import { Icon } from "@/components/Icon";
import { formatCount } from "@/format";
import { text } from "@/text";

import type { DocumentError } from "./draft";

const { editor: words } = text.priceBooks;
/** Of a line, in px; the style sheet says the same. */
const LINE = 20;

interface Props {
  value: string;
  errors: readonly DocumentError[];
  onChange: (value: string) => void;
}

/** A text with line numbers; each error stands at its line, and in a list that leads there. */
export function DocumentEditor({ value, errors, onChange }: Props) {
  const id = useId();
  const input = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const marks = useRef<HTMLDivElement>(null);
  const lines = useDeferredValue(value).split("\n");
  const numbers = useMemo(() => lineNumbers(lines.length), [lines.length]);

  const follow = (): void => {
    const { scrollTop = 0, scrollLeft = 0 } = input.current ?? {};
    if (gutter.current !== null) gutter.current.style.transform = `translateY(${String(-scrollTop)}px)`;
    if (marks.current !== null) {
      marks.current.style.transform = `translate(${String(-scrollLeft)}px, ${String(-scrollTop)}px)`;
    }
  };
  useLayoutEffect(follow);

  const show = ({ place }: DocumentError): void => {
    const area = input.current;
    if (area === null) return;
    area.focus();
    area.setSelectionRange(place.from, place.to);
    area.scrollTop = Math.max(0, (place.line - 4) * LINE);
    area.scrollLeft = 0;
  };

  return (
    <div className="document">
      <div className="document-box">
        <div className="document-gutter" aria-hidden="true">
          <div ref={gutter} className="document-numbers">
            {numbers}
          </div>
        </div>
        <div className="document-main">
          <div className="document-marks" aria-hidden="true">
            <div ref={marks}>
              {errors.map((error, index) => (
                <div
                  key={index}
                  className="document-mark"
                  style={{ top: `${String((error.place.line - 1) * LINE)}px` }}
                >
                  <span className="document-said" style={{ left: `${String((lines[error.place.line - 1] ?? "").length + 2)}ch` }}>
                    {error.detail}
                  </span>
                </div>
              ))}
            </div>
          </div>
          <textarea
            ref={input}
            className="document-input"
            aria-label={words.documentLabel}
            aria-invalid={errors.length > 0 || undefined}
            aria-describedby={`${id}-hint ${id}-errors`}
            spellCheck={false}
            autoCapitalize="none"
            autoComplete="off"
            wrap="off"
            value={value}
            onScroll={follow}
            onChange={(event) => onChange(event.target.value)}
          />
        </div>
      </div>
      <p id={`${id}-hint`} className="field-hint">
        {words.hint}
      </p>
      <div id={`${id}-errors`} role="status">
        {errors.length === 0 ? null : (
          <div className="document-errors">
            <p className="field-error">
              <Icon name="alert" size={14} />
              {words.errors(formatCount(errors.length), errors.length === 1)}
            </p>
            <ul>
              {errors.map((error, index) => (
                <li key={index}>
                  <button type="button" className="document-error" onClick={() => show(error)}>
                    <span className="document-line">{words.line(formatCount(error.place.line))}</span>
                    <span>
                      {error.pointer === null ? null : <code>{error.pointer}</code>} {error.detail}
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </div>
        )}
      </div>
    </div>
  );
}

function lineNumbers(count: number): string {
  return Array.from({ length: count }, (_, index) => index + 1).join("\n");
}
