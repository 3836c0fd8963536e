//! Makes sled's large pages durable.
//!
//! A page that outgrows a quarter of a segment goes into a file of its own under
//! `blobs/`, which sled writes but never syncs (0.34.7, `pagecache/blob_io.rs`).
//! After sled's flush and before the acknowledgement we sync what is new there.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub(crate) struct Blobs {
    folder: PathBuf,
    handle: File,
    synced: HashSet<OsString>,
    /// When the folder last changed, as of the last look.
    changed: Option<SystemTime>,
}

impl Blobs {
    /// `store`: sled's folder. What is there already was synced, or survived.
    pub(crate) fn open(store: &Path) -> io::Result<Self> {
        let folder = store.join("blobs");
        let synced = fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.file_name())).collect::<io::Result<_>>()?;
        Ok(Self { handle: File::open(&folder)?, folder, synced, changed: None })
    }

    /// Syncs the files that came since the last time, then the folder that names them. One `fstat` when there are none.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let changed = self.handle.metadata()?.modified()?;
        // A change within the clock's grain of the last look leaves the same time: recent times are not trusted.
        let settled = changed.elapsed().is_ok_and(|age| age.as_millis() > 100);
        if self.changed == Some(changed) && settled {
            return Ok(());
        }
        let mut there = HashSet::with_capacity(self.synced.len());
        let mut news = false;
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            if !self.synced.contains(&name) {
                match File::open(self.folder.join(&name)) {
                    Ok(file) => file.sync_all()?,
                    // sled took it away again meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                news = true;
            }
            there.insert(name);
        }
        if news {
            self.handle.sync_all()?;
        }
        self.synced = there;
        self.changed = Some(changed);
        Ok(())
    }
}
