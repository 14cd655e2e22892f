package sys

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// zones knows the names of network interfaces, which every address of a link
// has. Asking the kernel takes several system calls, too many for each datagram.
var zones = zoneCache{names: make(map[uint32]zoneEntry[string]), indexes: make(map[string]zoneEntry[uint32])}

// zoneAge is how long a name is believed, as long as by the standard library.
const zoneAge = time.Minute

// maxZones bounds what is remembered: names can come from anybody.
const maxZones = 1024

type zoneCache struct {
	mu      sync.Mutex
	names   map[uint32]zoneEntry[string]
	indexes map[string]zoneEntry[uint32]
}

type zoneEntry[T any] struct {
	value T
	until time.Time
}

// name returns the name of an interface, or its number if it has none.
func (z *zoneCache) name(id uint32) string {
	if id == 0 {
		return ""
	}
	return remembered(z, z.names, id, func() string {
		if ifi, err := net.InterfaceByIndex(int(id)); err == nil {
			return ifi.Name
		}
		return strconv.FormatUint(uint64(id), 10)
	})
}

// index returns the number of an interface by its name or its number, 0 if there
// is none.
func (z *zoneCache) index(zone string) uint32 {
	if zone == "" {
		return 0
	}
	return remembered(z, z.indexes, zone, func() uint32 {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			return uint32(ifi.Index)
		}
		n, _ := strconv.ParseUint(zone, 10, 32)
		return uint32(n)
	})
}

func remembered[K comparable, V any](z *zoneCache, m map[K]zoneEntry[V], key K, ask func() V) V {
	now := time.Now()
	z.mu.Lock()
	e, ok := m[key]
	z.mu.Unlock()
	if ok && now.Before(e.until) {
		return e.value
	}
	e = zoneEntry[V]{ask(), now.Add(zoneAge)}
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(m) >= maxZones {
		clear(m)
	}
	m[key] = e
	return e.value
}
