//! The reference page at `/docs`: the document as HTML, rendered here, with nothing fetched from elsewhere and no script.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::DOCUMENT;

const STYLE: &str = include_str!("page.css");

/// A rendered page.
#[derive(Debug)]
pub struct Page {
    /// The HTML.
    pub html: Bytes,
    /// `Content-Security-Policy`: its own style by hash, and nothing else.
    pub policy: String,
}

/// The page of the document.
#[must_use]
pub fn page() -> &'static Page {
    static PAGE: LazyLock<Page> = LazyLock::new(|| Page::render(&DOCUMENT.value));
    &PAGE
}

impl Page {
    fn render(document: &Value) -> Self {
        let mut html = String::new();
        // Writing into a string does not fail.
        if write_page(&mut html, document).is_err() {
            tracing::error!("the reference page cannot be written");
        }
        let style_hash = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        Self { html: Bytes::from(html), policy }
    }
}

fn write_page(html: &mut String, document: &Value) -> std::fmt::Result {
    let title = text(&document["info"]["title"]);
    write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\
         <h1>{title}</h1><p>{}</p><p><a href=\"/openapi.json\">openapi.json</a></p>",
        text(&document["info"]["description"])
    )?;
    for tag in document["tags"].as_array().into_iter().flatten() {
        write!(html, "<h2>{}</h2><p>{}</p>", text(&tag["name"]), text(&tag["description"]))?;
        for (method, path, operation) in super::operations_of(document) {
            if operation["tags"][0] == tag["name"] {
                write_operation(html, method, path, operation)?;
            }
        }
    }
    write_headers(html, document)?;
    html.push_str("<h2>Shapes</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let name = escape(name);
        write!(html, "<details id=\"{name}\"><summary><code>{name}</code></summary>")?;
        write_json(html, schema)?;
        html.push_str("</details>");
    }
    html.push_str("</body></html>");
    Ok(())
}

fn write_headers(html: &mut String, document: &Value) -> std::fmt::Result {
    html.push_str("<h2>Headers</h2><table><thead><tr><th>header</th><th></th></tr></thead><tbody>");
    for (name, header) in document["components"]["headers"].as_object().into_iter().flatten() {
        write!(html, "<tr><td><code>{}</code></td><td>{}</td></tr>", escape(name), text(&header["description"]))?;
    }
    html.push_str("</tbody></table>");
    Ok(())
}

fn write_operation(html: &mut String, method: &str, path: &str, operation: &Value) -> std::fmt::Result {
    let id = text(&operation["operationId"]);
    write!(
        html,
        "<details id=\"{id}\"><summary><code>{} {}</code> {}</summary><p>{}</p>",
        method.to_uppercase(),
        escape(path),
        text(&operation["summary"]),
        text(&operation["description"])
    )?;
    if operation["security"].is_null() {
        html.push_str("<p>Needs no key.</p>");
    }
    html.push_str("<table><thead><tr><th>parameter</th><th>value</th><th></th></tr></thead><tbody>");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            text(&parameter["name"]),
            value_of(&parameter["schema"]),
            text(&parameter["description"])
        )?;
    }
    html.push_str("</tbody></table>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        write!(html, "<p><code>{}</code> {}", escape(status), text(&response["description"]))?;
        for (media_type, content) in response["content"].as_object().into_iter().flatten() {
            write!(html, " <code>{}</code> {}", escape(media_type), link_of(&content["schema"]))?;
        }
        html.push_str("</p>");
        let contents = response["content"].as_object().into_iter().flatten();
        for example in contents.filter_map(|(_, content)| content.get("example")) {
            write_json(html, example)?;
        }
    }
    html.push_str("</details>");
    Ok(())
}

/// What a parameter takes, in a few words.
fn value_of(schema: &Value) -> String {
    let one = if schema["items"].is_object() { &schema["items"] } else { schema };
    let choices: Vec<&str> = one["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let what = match (choices.is_empty(), &one["pattern"], &one["minimum"]) {
        (false, ..) => escape(&choices.join(" | ")),
        (_, Value::String(pattern), _) => format!("<code>{}</code>", escape(pattern)),
        (_, _, Value::Number(minimum)) => format!("{minimum} to {}", one["maximum"]),
        _ => text(&one["type"]),
    };
    if std::ptr::eq(one, schema) { what } else { format!("list of {what}") }
}

fn link_of(schema: &Value) -> String {
    match schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        Some(name) => format!("<a href=\"#{0}\">{0}</a>", escape(name)),
        None => String::new(),
    }
}

fn write_json(html: &mut String, value: &Value) -> std::fmt::Result {
    let pretty = match value {
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    };
    write!(html, "<pre>{}</pre>", escape(&pretty))
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_the_document_says_is_text() {
        let evil = "</pre><script>alert(1)</script>\"'&";
        let document = json!({
            "info": {"title": evil, "description": evil},
            "tags": [{"name": evil, "description": evil}],
            "paths": {evil: {"get": {
                "operationId": evil, "summary": evil, "description": evil, "tags": [evil],
                "parameters": [{"name": evil, "description": evil, "schema": {"enum": [evil]}}],
                "responses": {"200": {"description": evil, "content": {evil: {"example": evil, "schema": {"$ref": evil}}}}}
            }}},
            "components": {"headers": {evil: {"description": evil}}, "schemas": {evil: {"description": evil}}}
        });
        let page = Page::render(&document);
        let html = std::str::from_utf8(&page.html).unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
    }

    #[test]
    fn the_page_fetches_nothing_and_its_policy_allows_nothing_but_its_style() {
        let Page { html, policy } = page();
        let html = std::str::from_utf8(html).unwrap();
        for forbidden in ["<script", "<link", "<img", "@import", "url(", "src=", "style=\"", "onload"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"));
        for (_, path, operation) in DOCUMENT.operations() {
            assert!(html.contains(&escape(path)), "{path}");
            assert!(html.contains(&format!("id=\"{}\"", operation["operationId"].as_str().unwrap())), "{path}");
        }
    }
}
