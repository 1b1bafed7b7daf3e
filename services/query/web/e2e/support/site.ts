import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Whose pages may frame widgets in the stack that e2e/run.sh starts; a stack of another kind may have none. */
export const FRAMING = "http://localhost:*";
export const mayFrame = process.env.TOLLBOOTH_QUERY__DASHBOARD__EMBED_ANCESTORS === FRAMING;

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A booth's own site</title></head><body>
<h1>Our booths</h1><iframe title="Tolls" width="400" height="420"></iframe></body></html>`;

/** A customer's own site, by two names: of one it may frame widgets, of the other it may not. */
export class Site {
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Site> {
    const server = createServer((_, response) => {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(PAGE);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return new Site(server);
  }

  get allowed(): string {
    return `http://localhost:${this.port}/`;
  }

  get other(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  private get port(): string {
    return String((this.server.address() as AddressInfo).port);
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
