import { useEffect } from "react";

import { text } from "@/text";

export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} \u00b7 ${text.common.product}`;
  }, [title]);
}
