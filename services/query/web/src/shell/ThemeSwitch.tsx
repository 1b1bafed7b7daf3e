import { Icon } from "@/components/Icon";
import { text } from "@/text";

import { THEMES, useTheme } from "./theme";

const ICONS = { system: "monitor", light: "sun", dark: "moon" } as const;

export function ThemeSwitch() {
  const [theme, setTheme] = useTheme();
  return (
    <fieldset className="theme-fieldset">
      <legend className="visually-hidden">{text.common.theme.label}</legend>
      <div className="theme-switch">
        {THEMES.map((option) => (
          <label key={option} className="theme-option" title={text.common.theme[option]}>
            <input
              type="radio"
              name="theme"
              value={option}
              checked={theme === option}
              onChange={() => setTheme(option)}
            />
            <Icon name={ICONS[option]} size={15} />
            <span className="visually-hidden">{text.common.theme[option]}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
