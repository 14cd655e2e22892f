package main

// ours are names of package os that package file has by itself; it forwards or
// aliases all others that it has. The parity test compares their types.
var ours = []string{
	"Create", "CreateTemp", "DirFS", "File", "NewFile", "Open", "OpenFile", "OpenInRoot", "OpenRoot",
	"Pipe", "ReadFile", "Root", "WriteFile", "Stdin", "Stdout", "Stderr",
}

// difference is why package file does not have names of package os.
type difference struct {
	reason string
	names  []string
}

// left is all of package os that package file leaves to it. docs/file-parity.md
// has the same table.
var left = []difference{
	{"environment variables", []string{
		"Clearenv", "Environ", "Expand", "ExpandEnv", "Getenv", "LookupEnv", "Setenv", "Unsetenv",
	}},
	{"processes", []string{
		"Args", "ErrProcessDone", "Executable", "Exit", "FindProcess", "ErrNoHandle", "Getegid", "Geteuid", "Getgid",
		"Getgroups", "Getpid", "Getppid", "Getuid", "Interrupt", "Kill", "ProcAttr", "Process", "ProcessState",
		"Signal", "StartProcess",
	}},
	{"the machine and its user", []string{
		"Getpagesize", "Hostname", "UserCacheDir", "UserConfigDir", "UserHomeDir",
	}},
}
