package driver

import "syscall"

// errLost is what the kernel says, once, after it has dropped completions for
// lack of memory.
const errLost = syscall.EBADR
