// Package storagetest holds what tests need of storages: the contract that
// every home of a repository passes (Run), a storage in memory whose requests
// can be made to fail one by one (Memory), and real S3 servers that others
// wrote, started on the loopback interface (Versitygw, Moto).
package storagetest
