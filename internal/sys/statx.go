package sys

// StatxTime is a time of a Statx, since 1970.
type StatxTime struct {
	Sec  int64
	Nsec uint32
}

// StatxFields is what a Statx says.
type StatxFields struct {
	Mask                       uint32
	BlockSize                  uint32
	Attributes, AttributesMask uint64
	Links, UID, GID            uint32
	Mode                       uint16
	Inode, Size, Blocks        uint64
	Access, Birth, Change, Mod StatxTime
	RdevMajor, RdevMinor       uint32
	DevMajor, DevMinor         uint32
	MountID                    uint64
	DirectMemory, DirectOffset uint32
}
