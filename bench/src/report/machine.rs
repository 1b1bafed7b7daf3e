//! What was measured on.

use std::path::Path;

/// Cores, processor, memory, and the file system of the engines' data.
pub(super) fn machine(dir: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |path: &str, key: &str| {
        let text = read(path);
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let file_system =
        file_system(&read("/proc/self/mountinfo"), &dir).unwrap_or_else(|| "an unknown file system".into());
    format!(
        "{cores} cores, {}, memory {}, data on {file_system}",
        value("/proc/cpuinfo", "model name"),
        value("/proc/meminfo", "MemTotal")
    )
}

/// The type of the file system that a folder lies on: that of the longest mount point it is under, and of several there
/// the last one (see proc(5), `mountinfo`).
fn file_system(mountinfo: &str, dir: &Path) -> Option<String> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        Some((mount.split(' ').nth(4)?, file_system.split(' ').next()?))
    });
    let under = mounts.filter(|(point, _)| dir.starts_with(point));
    under.max_by_key(|(point, _)| point.len()).map(|(_, file_system)| file_system.to_owned())
}

/// Short hash, with `-dirty` where the sources differ from it.
pub(super) fn commit() -> String {
    let arguments = ["describe", "--always", "--dirty", "--exclude=*"];
    let output = std::process::Command::new("git").args(arguments).output();
    output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        // given mounts as the kernel lists them
        let mounts = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
                      31 22 0:27 / /tmp rw,nosuid shared:9 - tmpfs tmpfs rw,size=1g\n\
                      40 22 254:2 / /srv/data rw - xfs /dev/vdb rw\n";
        let of = |dir: &str| file_system(mounts, Path::new(dir));
        // then a folder has the one it is under, and a similar name is no parent
        assert_eq!(of("/tmp/bench").as_deref(), Some("tmpfs"));
        assert_eq!(of("/srv/data/bench").as_deref(), Some("xfs"));
        assert_eq!(of("/srv/database").as_deref(), Some("ext4"));
        assert_eq!(file_system("", Path::new("/")), None);
    }
}
