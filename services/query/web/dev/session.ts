import type { Connect, Plugin } from "vite";

// Stands in for `/v1/session` of the query service, so that the pages can be worked on with a plain key. It runs in the
// development server alone: with TOLLBOOTH_DEV_ACCOUNT set the browser is "signed in" to that account, with
// TOLLBOOTH_DEV_ADMIN as well it is an administrator, and vite.config.ts adds the key of TOLLBOOTH_DEV_KEY.
export function devSession(env: NodeJS.ProcessEnv): Plugin {
  const account = env.TOLLBOOTH_DEV_ACCOUNT;
  const admin = env.TOLLBOOTH_DEV_ADMIN !== undefined;
  let signedIn = true;
  return {
    name: "tollbooth-dev-session",
    configureServer: (server) => stand(server.middlewares),
    configurePreviewServer: (server) => stand(server.middlewares),
  };

  function stand(middlewares: Connect.Server): void {
    if (account === undefined && !admin) return;
    middlewares.use("/v1/session", (request, response) => {
      if (request.method === "DELETE") {
        signedIn = false;
        response.statusCode = 204;
        response.end();
        return;
      }
      if (request.method === "POST") signedIn = true;
      if (!signedIn) {
        response.statusCode = 401;
        response.setHeader("Content-Type", "application/problem+json");
        response.end(JSON.stringify({ type: "about:blank", title: "No session", status: 401, code: "unauthorized" }));
        return;
      }
      response.setHeader("Content-Type", "application/json");
      response.end(
        JSON.stringify({
          kind: admin ? "admin" : "account",
          account_id: admin ? null : account,
          key_id: "key_dev",
          csrf_token: "dev",
          expires_at: new Date(Date.now() + 8 * 3_600_000).toISOString(),
        }),
      );
    });
  }
}
