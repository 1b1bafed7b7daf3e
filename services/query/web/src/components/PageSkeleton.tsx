import { Skeleton } from "./Skeleton";

/** While a page's code or its account is on its way. */
export function PageSkeleton() {
  return (
    <div className="page">
      <Skeleton height="2rem" width="12rem" />
      <Skeleton height="9rem" />
      <Skeleton height="22rem" />
    </div>
  );
}
