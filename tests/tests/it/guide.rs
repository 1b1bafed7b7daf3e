//! `docs/guide.md` is run: what its blocks print is what stands below them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::stage::shared;

/// How long a block may run, in seconds.
const PATIENCE_S: &str = "120";

/// A block of the document.
#[derive(Debug)]
struct Block<'a> {
    language: &'a str,
    text: String,
    line: usize,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_open = false;
    for (line, text) in (1..).zip(document.lines()) {
        match (text.strip_prefix("```"), is_open) {
            (Some(language), false) => {
                blocks.push(Block { language, text: String::new(), line });
                is_open = true;
            }
            (Some(_), true) => is_open = false,
            (None, true) => {
                let block = blocks.last_mut().map(|block| &mut block.text);
                block.into_iter().for_each(|block| *block += &format!("{text}\n"));
            }
            (None, false) => {}
        }
    }
    blocks
}

/// Runs a block in `dir` and gives what it printed.
fn run(block: &Block<'_>, dir: &Path, environment: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE_S);
    match block.language {
        "sh" => command.args(["bash", "-uc", &block.text]),
        "python" => {
            let name = block.text.lines().next().and_then(|line| line.strip_prefix("# "));
            let name =
                name.filter(|name| name.ends_with(".py")).context("a Python block begins with its file's name")?;
            fs::write(dir.join(name), &block.text)?;
            command.args(["python3", name])
        }
        other => bail!("a block in {other:?}, which nobody can run"),
    };
    let output = command.current_dir(dir).envs(environment.iter().copied()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    bail!("it failed ({}): {text}{}", output.status, String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_the_guide_shows_is_what_happens() -> anyhow::Result<()> {
    // given the guide and a stack as it expects one
    let stack = shared();
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide.md"))?;
    let dir = stack.dir().join("guide");
    fs::create_dir_all(dir.join(".local"))?;
    fs::write(
        dir.join(".local/demo.env"),
        format!(
            "TOLLBOOTH_INGEST_URL={}\nTOLLBOOTH_QUERY_URL={}\nTOLLBOOTH_ADMIN_KEY={}\n",
            stack.api.ingest_url(),
            stack.api.query_url(),
            stack.api.admin_key()
        ),
    )?;
    let environment = [
        ("NO_PROXY", "127.0.0.1"),
        ("no_proxy", "127.0.0.1"),
        ("TOLLBOOTH_INGEST_URL", stack.api.ingest_url()),
        ("TOLLBOOTH_QUERY_URL", stack.api.query_url()),
        ("TOLLBOOTH_ADMIN_KEY", stack.api.admin_key()),
    ];

    // when its blocks are run, one after the other
    let mut blocks = blocks(&document).into_iter().peekable();
    let mut run_count = 0;
    while let Some(block) = blocks.next() {
        let expected = blocks.next_if(|next| next.language == "text").map(|next| next.text).unwrap_or_default();
        let printed = run(&block, &dir, &environment).with_context(|| format!("docs/guide.md:{}", block.line))?;

        // then each prints what stands below it
        assert_eq!(printed, expected, "docs/guide.md:{}", block.line);
        run_count += 1;
    }
    assert!(run_count >= 9, "{run_count} blocks were found");
    Ok(())
}
