import { Link } from "react-router";

import { CoinIcon } from "@/components/CoinIcon";
import { text } from "@/text";

export function Brand() {
  return (
    <Link to="/" className="shell-brand">
      <CoinIcon size={22} />
      {text.common.product}
    </Link>
  );
}
