import { Component, type ReactNode } from "react";

import { ProblemPanel } from "./ProblemPanel";

interface State {
  error: Error | null;
}

/** A defect in one panel leaves the others standing. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <ProblemPanel error={error} onRetry={() => this.setState({ error: null })} />;
  }
}
