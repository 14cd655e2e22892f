module github.com/yamanote-go/yamanote/bench

go 1.26.0

replace github.com/yamanote-go/yamanote => ..

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/cloudwego/netpoll v0.7.2
	github.com/dshulyak/uring v0.0.0-20210209113719-1b2ec51f1542
	github.com/godzie44/go-uring v0.0.0-20220926161041-69611e8b13d5
	github.com/panjf2000/gnet/v2 v2.9.7
	github.com/pawelgaczynski/gain v0.4.0-alpha
	github.com/rs/zerolog v1.26.1
	github.com/stretchr/testify v1.12.1
	github.com/yamanote-go/yamanote v0.0.0
	go.uber.org/atomic v1.12.0
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/alitto/pond v1.7.1 // indirect
	github.com/bytedance/gopkg v0.1.1 // indirect
	github.com/cloudwego/gopkg v0.1.4 // indirect
	github.com/libp2p/go-sockaddr v0.1.1 // indirect
	github.com/panjf2000/ants/v2 v2.11.3 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.27.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.11.0 // indirect
	gopkg.in/natefinch/lumberjack.v2 v2.2.1 // indirect
)
