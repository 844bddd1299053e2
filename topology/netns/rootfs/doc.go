// Package rootfs makes the Debian 13 root file system that every node of a
// netns lab is laid over, once, and keeps it in a cache.
//
// The tools of a lab are those of this root, so they are the very versions of
// the hosts that a site describes, and nothing of the workstation shows
// through. Nodes run in a user namespace, so the folder belongs to the ids that
// this namespace maps: root hands in a shifted range and the files are given
// to it; an ordinary user unpacks inside a namespace of its own.
//
//	recipe --mmdebstrap--> debian-trixie-HASH.tar --unpack, prepare--> rootfs-HASH/root
//
// What a package enabled, the host keys it made and every other trace of one
// machine is left out: the site's own files say what a node is.
//
// It starts no node, mounts nothing and needs no network once the cache is
// filled.
package rootfs
