//! Requests of ioctl whose number does not say what they do, or whose text is not `ioctl(generic)`.
//!
//! What always holds: in the order of numbers (a test). Numbers and sizes are those of `linux/*.h` on x86-64,
//! texts are Valgrind's where it knows the request, and the general one where it goes by the number. Not here:
//! requests with memory behind memory; those are in `ioctl_nested`.

/// One request.
pub(crate) struct Entry {
    pub(crate) request: u32,
    pub(crate) text: &'static str,
    pub(crate) way: Way,
    /// Bytes behind the argument.
    pub(crate) size: u64,
}

/// What a request does with its argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is a number, or a pointer to something that is not checked.
    Value,
    /// There is none; the register is not read.
    None,
    /// The kernel reads what it points to,
    Read,
    /// writes it,
    Write,
    /// or both.
    Both,
}

use Way::{Both, None, Read, Value, Write};

const fn entry(request: u32, text: &'static str, way: Way, size: u64) -> Entry {
    Entry { request, text, way, size }
}

#[rustfmt::skip]
pub(crate) static ENTRIES: &[Entry] = &[
    entry(0x00000001, "ioctl(FIBMAP)", Both, 4),
    entry(0x00000002, "ioctl(FIGETBSZ)", Write, 4),
    entry(0x00000301, "ioctl(HDIO_GETGEO)", Write, 16),
    entry(0x0000030d, "ioctl(HDIO_GET_IDENTITY)", Write, 512),
    entry(0x0000125d, "ioctl(BLKROSET)", Read, 4),
    entry(0x0000125e, "ioctl(BLKROGET)", Write, 4),
    entry(0x0000125f, "ioctl(BLKRRPART)", Value, 0),
    entry(0x00001260, "ioctl(BLKGETSIZE)", Write, 8),
    entry(0x00001261, "ioctl(BLKFLSBUF)", Value, 0),
    entry(0x00001262, "ioctl(BLKRASET)", Value, 0),
    entry(0x00001263, "ioctl(BLKRAGET)", Write, 8),
    entry(0x00001264, "ioctl(BLKFRASET)", Value, 0),
    entry(0x00001265, "ioctl(BLKFRAGET)", Write, 8),
    entry(0x00001267, "ioctl(BLKSECTGET)", Write, 2),
    entry(0x00001268, "ioctl(BLKSSZGET)", Write, 4),
    entry(0x00001277, "ioctl(BLKDISCARD)", Read, 16),
    entry(0x00001278, "ioctl(BLKIOMIN)", Write, 4),
    entry(0x00001279, "ioctl(BLKIOOPT)", Write, 4),
    entry(0x0000127a, "ioctl(BLKALIGNOFF)", Write, 4),
    entry(0x0000127b, "ioctl(BLKPBSZGET)", Write, 4),
    entry(0x0000127c, "ioctl(BLKDISCARDZEROES)", Write, 4),
    entry(0x0000127d, "ioctl(BLKSECDISCARD)", Read, 16),
    entry(0x0000127e, "ioctl(BLKROTATIONAL)", Write, 2),
    entry(0x0000127f, "ioctl(BLKZEROOUT)", Read, 16),
    entry(0x00002201, "ioctl(SG_SET_TIMEOUT)", Read, 4),
    entry(0x00002202, "ioctl(SG_GET_TIMEOUT)", Value, 0),
    entry(0x00002203, "ioctl(SG_EMULATED_HOST)", Write, 4),
    entry(0x00002271, "ioctl(SG_SET_COMMAND_Q)", Read, 4),
    entry(0x00002272, "ioctl(SG_GET_RESERVED_SIZE)", Write, 4),
    entry(0x00002275, "ioctl(SG_SET_RESERVED_SIZE)", Read, 4),
    entry(0x0000227f, "ioctl(SG_GET_SG_TABLESIZE)", Write, 4),
    entry(0x00002282, "ioctl(SG_GET_VERSION_NUM)", Write, 4),
    entry(0x00002400, "ioctl(PERF_EVENT_IOC_ENABLE)", None, 0),
    entry(0x00002401, "ioctl(PERF_EVENT_IOC_DISABLE)", None, 0),
    entry(0x00002402, "ioctl(PERF_EVENT_IOC_REFRESH)", Value, 0),
    entry(0x00002403, "ioctl(PERF_EVENT_IOC_RESET)", Value, 0),
    entry(0x00002405, "ioctl(PERF_EVENT_IOC_SET_OUTPUT)", Value, 0),
    entry(0x00004600, "ioctl(FBIOGET_VSCREENINFO)", Write, 160),
    entry(0x00004601, "ioctl(FBIOPUT_VSCREENINFO)", Both, 160),
    entry(0x00004602, "ioctl(FBIOGET_FSCREENINFO)", Write, 80),
    entry(0x00004606, "ioctl(FBIOPAN_DISPLAY)", Read, 160),
    entry(0x00004b2f, "ioctl(KIOCSOUND)", Value, 0),
    entry(0x00004b30, "ioctl(KDMKTONE)", Value, 0),
    entry(0x00004b31, "ioctl(KDGETLED)", Write, 1),
    entry(0x00004b32, "ioctl(KDSETLED)", Value, 0),
    entry(0x00004b33, "ioctl(KDGKBTYPE)", Write, 1),
    entry(0x00004b3a, "ioctl(KDSETMODE)", Value, 0),
    entry(0x00004b3b, "ioctl(KDGETMODE)", Write, 4),
    entry(0x00004b44, "ioctl(KDGKBMODE)", Write, 4),
    entry(0x00004b45, "ioctl(KDSKBMODE)", Value, 0),
    entry(0x00004b4e, "ioctl(KDSIGACCEPT)", Value, 0),
    entry(0x00004b62, "ioctl(KDGKBMETA)", Write, 4),
    entry(0x00004b63, "ioctl(KDSKBMETA)", Value, 0),
    entry(0x00004b64, "ioctl(KDGKBLED)", Write, 1),
    entry(0x00004b65, "ioctl(KDSKBLED)", Value, 0),
    entry(0x00004c00, "ioctl(LOOP_SET_FD)", Value, 0),
    entry(0x00004c01, "ioctl(LOOP_CLR_FD)", Value, 0),
    entry(0x00004c02, "ioctl(LOOP_SET_STATUS)", Read, 168),
    entry(0x00004c03, "ioctl(LOOP_GET_STATUS)", Write, 168),
    entry(0x00004c04, "ioctl(LOOP_SET_STATUS64)", Read, 232),
    entry(0x00004c05, "ioctl(LOOP_GET_STATUS64)", Write, 232),
    entry(0x00004c06, "ioctl(LOOP_CHANGE_FD)", Value, 0),
    entry(0x00004c07, "ioctl(LOOP_SET_CAPACITY)", Value, 0),
    entry(0x00004c08, "ioctl(LOOP_SET_DIRECT_IO)", Value, 0),
    entry(0x00004c09, "ioctl(LOOP_SET_BLOCK_SIZE)", Value, 0),
    entry(0x00004c80, "ioctl(LOOP_CTL_ADD)", Value, 0),
    entry(0x00004c81, "ioctl(LOOP_CTL_REMOVE)", Value, 0),
    entry(0x00004c82, "ioctl(LOOP_CTL_GET_FREE)", Value, 0),
    entry(0x00005204, "ioctl(RNDZAPENTCNT)", Value, 0),
    entry(0x00005206, "ioctl(RNDCLEARPOOL)", Value, 0),
    entry(0x00005305, "ioctl(CDROMREADTOCHDR)", Write, 2),
    entry(0x00005309, "ioctl(CDROMEJECT)", Value, 0),
    entry(0x00005319, "ioctl(CDROMCLOSETRAY)", Value, 0),
    entry(0x00005326, "ioctl(CDROM_DRIVE_STATUS)", Value, 0),
    entry(0x00005331, "ioctl(CDROM_GET_CAPABILITY)", Value, 0),
    entry(0x00005380, "ioctl(SCSI_IOCTL_DOORLOCK)", None, 0),
    entry(0x00005381, "ioctl(SCSI_IOCTL_DOORUNLOCK)", None, 0),
    entry(0x00005382, "ioctl(SCSI_IOCTL_GET_IDLUN)", Write, 8),
    entry(0x00005386, "ioctl(SCSI_IOCTL_GET_BUS_NUMBER)", Write, 4),
    entry(0x00005401, "ioctl(TCGETS)", Write, 36),
    entry(0x00005402, "ioctl(TCSET{S,SW,SF})", Read, 36), // TCSETS
    entry(0x00005403, "ioctl(TCSET{S,SW,SF})", Read, 36), // TCSETSW
    entry(0x00005404, "ioctl(TCSET{S,SW,SF})", Read, 36), // TCSETSF
    entry(0x00005405, "ioctl(TCGETA)", Write, 18),
    entry(0x00005406, "ioctl(TCSET{A,AW,AF})", Read, 18), // TCSETA
    entry(0x00005407, "ioctl(TCSET{A,AW,AF})", Read, 18), // TCSETAW
    entry(0x00005408, "ioctl(TCSET{A,AW,AF})", Read, 18), // TCSETAF
    entry(0x00005409, "ioctl(TCSBRK)", Value, 0),
    entry(0x0000540a, "ioctl(TCXONC)", Value, 0),
    entry(0x0000540b, "ioctl(TCFLSH)", Value, 0),
    entry(0x0000540c, "ioctl(TIOCEXCL)", Value, 0),
    entry(0x0000540d, "ioctl(TIOCNXCL)", Value, 0),
    entry(0x0000540e, "ioctl(TIOCSCTTY)", Value, 0),
    entry(0x0000540f, "ioctl(TIOCGPGRP)", Write, 4),
    entry(0x00005410, "ioctl(TIOCGPGRP)", Read, 4), // TIOCSPGRP
    entry(0x00005411, "ioctl(TIOCOUTQ)", Write, 4),
    entry(0x00005412, "ioctl(TIOCSTI)", Read, 1),
    entry(0x00005413, "ioctl(TIOCGWINSZ)", Write, 8),
    entry(0x00005414, "ioctl(TIOCSWINSZ)", Read, 8),
    entry(0x00005415, "ioctl(TIOCMGET)", Write, 4),
    entry(0x00005416, "ioctl(TIOCMBIS)", Read, 4),
    entry(0x00005417, "ioctl(TIOCMBIC)", Read, 4),
    entry(0x00005418, "ioctl(TIOCMSET)", Read, 4),
    entry(0x00005419, "ioctl(TIOCGSOFTCAR)", Write, 4),
    entry(0x0000541a, "ioctl(TIOCSSOFTCAR)", Read, 4),
    entry(0x0000541b, "ioctl(FIONREAD)", Write, 4),
    entry(0x0000541d, "ioctl(TIOCCONS)", Value, 0),
    entry(0x0000541e, "ioctl(VKI_TIOCGSERIAL)", Write, 72), // TIOCGSERIAL
    entry(0x0000541f, "ioctl(VKI_TIOCSSERIAL)", Read, 72), // TIOCSSERIAL
    entry(0x00005420, "ioctl(TIOCPKT)", Read, 4),
    entry(0x00005421, "ioctl(FIONBIO)", Read, 4),
    entry(0x00005422, "ioctl(TIOCNOTTY)", None, 0),
    entry(0x00005423, "ioctl(TIOCSETD)", Read, 4),
    entry(0x00005424, "ioctl(TIOCGETD)", Write, 4),
    entry(0x00005425, "ioctl(TCSBRKP)", Value, 0),
    entry(0x00005429, "ioctl(TIOCGSID)", Write, 4),
    entry(0x00005441, "ioctl(TIOCGPTPEER)", Value, 0),
    entry(0x00005450, "ioctl(FIONCLEX)", None, 0),
    entry(0x00005451, "ioctl(FIOCLEX)", None, 0),
    entry(0x00005452, "ioctl(FIOASYNC)", Read, 4),
    entry(0x00005459, "ioctl(TIOCSERGETLSR)", Write, 4),
    entry(0x0000545c, "ioctl(TIOCMIWAIT)", Value, 0),
    entry(0x0000545d, "ioctl(TIOCGICOUNT)", Write, 80),
    entry(0x00005460, "ioctl(FIOQSIZE)", Write, 8),
    entry(0x00005501, "ioctl(UI_DEV_CREATE)", None, 0),
    entry(0x00005502, "ioctl(UI_DEV_DESTROY)", None, 0),
    entry(0x00005600, "ioctl(VT_OPENQRY)", Write, 4),
    entry(0x00005601, "ioctl(VT_GETMODE)", Write, 8),
    entry(0x00005602, "ioctl(VT_SETMODE)", Read, 8),
    entry(0x00005603, "ioctl(VT_GETSTATE)", Write, 6),
    entry(0x00005605, "ioctl(VT_RELDISP)", Value, 0),
    entry(0x00005606, "ioctl(VT_ACTIVATE)", Value, 0),
    entry(0x00005607, "ioctl(VT_WAITACTIVE)", Value, 0),
    entry(0x00005608, "ioctl(VT_DISALLOCATE)", Value, 0),
    entry(0x00007001, "ioctl(RTC_AIE_ON)", Value, 0),
    entry(0x00007002, "ioctl(RTC_AIE_OFF)", Value, 0),
    entry(0x00007003, "ioctl(RTC_UIE_ON)", Value, 0),
    entry(0x00007004, "ioctl(RTC_UIE_OFF)", Value, 0),
    entry(0x00007005, "ioctl(RTC_PIE_ON)", Value, 0),
    entry(0x00007006, "ioctl(RTC_PIE_OFF)", Value, 0),
    entry(0x00008902, "ioctl(SIOCSPGRP)", Read, 4),
    entry(0x00008904, "ioctl(SIOCGPGRP)", Write, 4),
    entry(0x00008905, "ioctl(SIOCATMARK)", Write, 4),
    entry(0x00008906, "ioctl(SIOCGSTAMP)", Write, 16), // SIOCGSTAMP_OLD
    entry(0x00008907, "ioctl(SIOCGSTAMPNS)", Write, 16), // SIOCGSTAMPNS_OLD
    entry(0x0000890b, "ioctl(SIOCADDRT/DELRT)", Read, 120), // SIOCADDRT
    entry(0x0000890c, "ioctl(SIOCADDRT/DELRT)", Read, 120), // SIOCDELRT
    entry(0x00008954, "ioctl(SIOCGARP)", Write, 68),
    entry(0x00008961, "ioctl(SIOCGARP)", Write, 68), // SIOCGRARP
    entry(0x0000ae00, "ioctl(KVM_GET_API_VERSION)", Value, 0),
    entry(0x0000ae01, "ioctl(KVM_CREATE_VM)", Value, 0),
    entry(0x0000ae03, "ioctl(KVM_CHECK_EXTENSION)", Value, 0),
    entry(0x0000ae04, "ioctl(KVM_GET_VCPU_MMAP_SIZE)", Value, 0),
    entry(0x0000ae41, "ioctl(KVM_CREATE_VCPU)", Value, 0),
    entry(0x0000ae47, "ioctl(KVM_SET_TSS_ADDR)", Value, 0),
    entry(0x0000ae80, "ioctl(KVM_RUN)", Value, 0),
    entry(0x0000b701, "ioctl(NS_GET_USERNS)", Value, 0),
    entry(0x0000b702, "ioctl(NS_GET_PARENT)", Value, 0),
    entry(0x0000b703, "ioctl(NS_GET_NSTYPE)", Value, 0),
    entry(0x0000b704, "ioctl(NS_GET_OWNER_UID)", Write, 4),
    entry(0x40017086, "ioctl(PPWDATA)", Read, 1),
    entry(0x40042408, "ioctl(PERF_EVENT_IOC_SET_BPF)", Value, 0),
    entry(0x40042409, "ioctl(PERF_EVENT_IOC_PAUSE_OUTPUT)", Value, 0),
    entry(0x40044590, "ioctl(EVIOCGRAB)", Value, 0),
    entry(0x40044591, "ioctl(EVIOCREVOKE)", Value, 0),
    entry(0x40045201, "ioctl(generic)", Read, 4), // RNDADDTOENTCNT
    entry(0x40045431, "ioctl(TIOCSPTLCK)", Read, 4),
    entry(0x40045436, "ioctl(TIOCSIG)", Value, 0),
    entry(0x400454c8, "ioctl(TUNSETNOCSUM)", Value, 0),
    entry(0x400454c9, "ioctl(TUNSETDEBUG)", Value, 0),
    entry(0x400454cb, "ioctl(TUNSETPERSIST)", Value, 0),
    entry(0x400454cc, "ioctl(TUNSETOWNER)", Value, 0),
    entry(0x400454cd, "ioctl(TUNSETLINK)", Value, 0),
    entry(0x400454ce, "ioctl(TUNSETGROUP)", Value, 0),
    entry(0x400454d0, "ioctl(TUNSETOFFLOAD)", Value, 0),
    entry(0x400454d4, "ioctl(TUNSETSNDBUF)", Read, 4),
    entry(0x400454d8, "ioctl(TUNSETVNETHDRSZ)", Read, 4),
    entry(0x400454da, "ioctl(TUNSETIFINDEX)", Read, 4),
    entry(0x40045564, "ioctl(UI_SET_EVBIT)", Value, 0),
    entry(0x40045565, "ioctl(UI_SET_KEYBIT)", Value, 0),
    entry(0x40045566, "ioctl(UI_SET_RELBIT)", Value, 0),
    entry(0x40045567, "ioctl(UI_SET_ABSBIT)", Value, 0),
    entry(0x40045568, "ioctl(UI_SET_MSCBIT)", Value, 0),
    entry(0x40045569, "ioctl(UI_SET_LEDBIT)", Value, 0),
    entry(0x4004556a, "ioctl(UI_SET_SNDBIT)", Value, 0),
    entry(0x4004556b, "ioctl(UI_SET_FFBIT)", Value, 0),
    entry(0x4004556d, "ioctl(UI_SET_SWBIT)", Value, 0),
    entry(0x4004556e, "ioctl(UI_SET_PROPBIT)", Value, 0),
    entry(0x40047080, "ioctl(PPSETMODE)", Read, 4),
    entry(0x40049409, "ioctl(FICLONE)", Value, 0),
    entry(0x40081271, "ioctl(BLKBSZSET)", Read, 4),
    entry(0x40082404, "ioctl(VKI_PERF_EVENT_IOC_PERIOD)", Read, 8), // PERF_EVENT_IOC_PERIOD
    entry(0x40086602, "ioctl(generic)", Read, 4), // FS_IOC_SETFLAGS
    entry(0x4008700c, "ioctl(RTC_IRQP_SET)", Value, 0),
    entry(0x40087602, "ioctl(generic)", Read, 4), // FS_IOC_SETVERSION
    entry(0x40187542, "ioctl(generic)", Read, 24), // UDMABUF_CREATE
    entry(0x4020940d, "ioctl(generic)", Read, 32), // FICLONERANGE
    entry(0x40247007, "ioctl(RTC_ALM_SET)", Read, 36),
    entry(0x80017081, "ioctl(PPRSTATUS)", Write, 1),
    entry(0x80017085, "ioctl(PPRDATA)", Write, 1),
    entry(0x80045200, "ioctl(generic)", Write, 4), // RNDGETENTCNT
    entry(0x80045430, "ioctl(TIOCGPTN)", Write, 4),
    entry(0x80045438, "ioctl(generic)", Write, 4), // TIOCGPKT
    entry(0x80045439, "ioctl(generic)", Write, 4), // TIOCGPTLCK
    entry(0x80045440, "ioctl(generic)", Write, 4), // TIOCGEXCL
    entry(0x800454cf, "ioctl(TUNGETFEATURES)", Write, 4),
    entry(0x800454d2, "ioctl(TUNGETIFF)", Write, 40),
    entry(0x800454d3, "ioctl(TUNGETSNDBUF)", Write, 4),
    entry(0x800454d7, "ioctl(TUNGETVNETHDRSZ)", Write, 4),
    entry(0x80047098, "ioctl(PPGETMODE)", Write, 4),
    entry(0x80081270, "ioctl(BLKBSZGET)", Write, 4),
    entry(0x80081272, "ioctl(BLKGETSIZE64)", Write, 8),
    entry(0x80082407, "ioctl(VKI_PERF_EVENT_IOC_ID)", Write, 8), // PERF_EVENT_IOC_ID
    entry(0x80086601, "ioctl(generic)", Write, 4), // FS_IOC_GETFLAGS
    entry(0x8008700b, "ioctl(RTC_IRQP_READ)", Write, 8),
    entry(0x80087601, "ioctl(generic)", Write, 4), // FS_IOC_GETVERSION
    entry(0x80247008, "ioctl(RTC_RD_TIME/ALM_READ)", Write, 36), // RTC_ALM_READ
    entry(0x80247009, "ioctl(RTC_RD_TIME/ALM_READ)", Write, 36), // RTC_RD_TIME
    entry(0xc0045877, "ioctl(FIFREEZE)", Value, 0),
    entry(0xc0045878, "ioctl(FITHAW)", Value, 0),
    entry(0xc0185879, "ioctl(generic)", Both, 24), // FITRIM
];
