//! Compiles `ledger.proto` without a `protoc` on the machine.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["tollbooth/v1/ledger.proto", "tollbooth/v1/command.proto", "tollbooth/v1/outbox.proto"];
    let descriptors = protox::compile(files, ["proto"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
