package file

// onLinux says that the system calls of Linux are there.
const onLinux = true
