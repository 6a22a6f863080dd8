"""unpack.py ARCHIVE.tar.xz FOLDER: unpacks once; tests run at the same time."""
import fcntl
import os
import sys
import tarfile

archive, folder = sys.argv[1:]
name = os.path.basename(archive)[:-len(".tar.xz")]
done = os.path.join(folder, name + ".done")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, name + ".lock"), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not os.path.exists(done):
        with tarfile.open(archive) as tar:
            tar.extractall(folder)
        open(done, "w").close()
