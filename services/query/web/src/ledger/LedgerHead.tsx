import { text } from "@/text";

const { columns } = text.common;

/** The six columns, the same everywhere. */
export function LedgerHead() {
  return (
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">
          {columns.date}
        </th>
        <th role="columnheader" scope="col">
          {columns.service}
        </th>
        <th role="columnheader" scope="col">
          {columns.type}
        </th>
        <th role="columnheader" scope="col">
          {columns.status}
        </th>
        <th role="columnheader" scope="col" className="num">
          {columns.transaction}
        </th>
        <th role="columnheader" scope="col" className="num">
          {columns.balance}
        </th>
      </tr>
    </thead>
  );
}
