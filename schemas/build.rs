//! Compiles `ledger.proto` without a `protoc` on the machine.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["tollbooth/v1/ledger.proto", "tollbooth/v1/command.proto", "tollbooth/v1/outbox.proto"];
    let descriptors = protox::compile(files, ["proto"])?;
    let mut config = prost_build::Config::new();
    // Few entries have them, and every entry is moved about.
    for rare in ["Usage.pricing", "Usage.letter", "Reversal.counted", "Repriced.charge"] {
        config.boxed(format!(".tollbooth.v1.{rare}"));
    }
    config.compile_fds(descriptors)?;
    Ok(())
}
