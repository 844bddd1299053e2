module github.com/pbsdrill/pbsdrill

go 1.26
