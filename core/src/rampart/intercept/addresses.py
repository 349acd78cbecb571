"""Addresses: what kind of place a host name or IP address is, and which address hides inside it."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

_METADATA_ADDRESSES: Final = frozenset(
    {
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, Oracle, OpenStack
        "169.254.169.253",  # AWS DNS and time on the same link
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.0.23",  # Tencent
        "169.254.42.42",  # Scaleway
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure wire server
        "192.0.0.192",  # Oracle classic
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS EKS over IPv6
        "fd20:ce::254",  # Google over IPv6
        "fd00:42::42",  # Scaleway over IPv6
    }
)
_METADATA_NAMES: Final = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.azure.com",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
        "metadata.packet.net",
        "instance-data",
        "instance-data.ec2.internal",
        "rancher-metadata",
        "rancher-metadata.rancher.internal",
    }
)
_LOOPBACK_NAMES: Final = frozenset(
    {
        "localhost",
        "localhost.localdomain",
        "localhost6",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
        "localtest.me",
        "lvh.me",
        "vcap.me",
        "lacolhost.com",
        "loopback",
    }
)
_LOOPBACK_SUFFIXES: Final = (".localhost", ".localtest.me", ".lvh.me", ".vcap.me", ".lacolhost.com")
_PRIVATE_NAMES: Final = frozenset(
    {
        "host.docker.internal",
        "gateway.docker.internal",
        "host.containers.internal",
        "host.lima.internal",
        "kubernetes.default.svc",
    }
)
_PRIVATE_SUFFIXES: Final = (
    ".internal",
    ".local",
    ".localdomain",
    ".lan",
    ".corp",
    ".intranet",
    ".private",
    ".home.arpa",
    ".svc",
)
_EMBEDDING_DOMAINS: Final = (".nip.io", ".sslip.io", ".xip.io", ".traefik.me", ".ip.es.io")
_EMBEDDED: Final = re.compile(r"(?:^|[.-])(\d{1,3})[.-](\d{1,3})[.-](\d{1,3})[.-](\d{1,3})$")
_EMBEDDED_HEX: Final = re.compile(r"(?:^|[.-])([0-9a-f]{8})$")

_PRIVATE_NETWORKS: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=1024)
def address_classes(host: str) -> frozenset[str]:
    """Return the classes of a canonical host.

    ``loopback private link-local metadata multicast unspecified internal-name``; empty for a host
    of the public internet. ``internal-name`` is a name without a dot, which only a local resolver
    answers.
    """
    address = _parse(host)
    if address is None:
        return _name_classes(host)
    inner = embedded_address(host)
    found = _ip_classes(address)
    return found | _ip_classes(ipaddress.IPv4Address(inner)) if inner else found


@lru_cache(maxsize=1024)
def embedded_address(host: str) -> str:
    """Return the IPv4 address that ``host`` is another form of, or nothing.

    Unwraps IPv4-mapped and IPv4-compatible IPv6, 6to4, Teredo, NAT64 (RFC 6052), and the public
    domains that answer with the address in their own name.
    """
    address = _parse(host)
    if isinstance(address, ipaddress.IPv6Address):
        return _unwrap(address)
    if address is None and host.endswith(_EMBEDDING_DOMAINS):
        head = host.rsplit(".", 3 if host.endswith(".ip.es.io") else 2)[0]
        return _address_in_name(head)
    return ""


def _parse(host: str) -> _Address | None:
    if not host or not (":" in host or host[-1].isdigit()):
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _unwrap(address: ipaddress.IPv6Address) -> str:
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.sixtofour is not None:
        return str(address.sixtofour)
    if address.teredo is not None:
        return str(address.teredo[1])
    low = int(address) & 0xFFFFFFFF
    inside = any(address in network for network in _NAT64)
    if inside or (address in _COMPATIBLE and low > 0xFFFF):
        return str(ipaddress.IPv4Address(low))
    return ""


def _address_in_name(head: str) -> str:
    found = _EMBEDDED.search(head)
    if found is not None and all(int(part) <= 255 for part in found.groups()):
        return ".".join(str(int(part)) for part in found.groups())
    hexadecimal = _EMBEDDED_HEX.search(head)
    return str(ipaddress.IPv4Address(int(hexadecimal.group(1), 16))) if hexadecimal else ""


def _ip_classes(address: _Address) -> frozenset[str]:
    found: set[str] = set()
    if address.is_loopback:
        found.add("loopback")
    if address.is_unspecified or str(address).startswith("0."):
        # WHY: connecting to 0.0.0.0 or :: reaches this machine
        found |= {"loopback", "unspecified"}
    if address.is_link_local:
        found.add("link-local")
    if address.is_multicast or str(address) == "255.255.255.255":
        found.add("multicast")
    if any(address in network for network in _PRIVATE_NETWORKS):
        found.add("private")
    if str(address) in _METADATA_ADDRESSES:
        found.add("metadata")
    return frozenset(found)


def _name_classes(host: str) -> frozenset[str]:
    if host in _METADATA_NAMES:
        return frozenset({"metadata", "private"})
    if host in _LOOPBACK_NAMES or host.endswith(_LOOPBACK_SUFFIXES):
        return frozenset({"loopback"})
    inner = embedded_address(host)
    if inner:
        return _ip_classes(ipaddress.IPv4Address(inner))
    if host in _PRIVATE_NAMES or host.endswith(_PRIVATE_SUFFIXES):
        return frozenset({"private"})
    return frozenset({"internal-name"}) if host and "." not in host else frozenset()
