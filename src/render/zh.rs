//! Chinese, simplified. Pure.

use nix::libc;

use super::amount::{self, Units};
use super::i18n::{Ends, Files, Labels, Logs, Output, States, Strings};
use crate::report::model::{LeftOut, WhyPacked};
use crate::run::facts::{Death, Holds, PartTrouble};

pub const ZH: Strings = Strings {
    tag: "zh-CN",
    units: Units {
        days: "天",
        hours: "小时",
        minutes: "分",
        minutes_alone: "分钟",
        seconds: "秒",
        millis: "毫秒",
        gap: "",
    },
    state: States {
        succeeded: "成功",
        failed: "失败",
        ended: "已结束",
        not_found: "找不到命令",
        not_executable: "无法执行",
        not_started: "无法启动",
        exit: |code| format!("退出码 {code}"),
        exited: |code| format!("退出码 {code}"),
        exited_by_signal: |code, signal| format!("退出码 {code}（按惯例即 128 + {signal}）"),
        timed_out: |code| format!("退出码 {code}（按惯例表示运行超时，由 timeout 命令终止）"),
        signaled: |signal, core| format!("被 {signal} 终止{}", if core { "，已生成 core 文件" } else { "" }),
        signal_reason,
        reported: |code| format!("退出码 {code}（由用户告知管道）"),
        unknown: "未知：管道已结束，但没有告知上游命令的状态（--status 或 --status-file）",
        interrupted: "被中断",
        interrupted_because,
        still_running: |pid| format!("发现时命令本身仍在运行，进程号 {pid}"),
        out_of_memory: "内存不足",
        killed_for_memory: |limit| format!("因内存不足被内核终止{}", group_limit(limit)),
        others_killed: |count, limit| format!("有 {count} 个进程因内存不足被终止{}", group_limit(limit)),
        told_to_end: |signal| format!("被 {signal} 中断"),
        pipe_told_to_end: |signal| format!("管道被 {signal} 中断，上游命令的状态未知"),
        not_started_because: |errno| format!("无法启动：{}", errno_text(errno)),
    },
    label: Labels {
        result: "结果",
        command: "命令",
        host: "主机",
        user: "用户",
        directory: "目录",
        started: "开始",
        ended: "结束",
        last_output: "最后输出",
        last_sign: "最后存活",
        shortage: "内存",
        duration: "用时",
        cpu: "CPU 时间",
        memory: "内存峰值",
        ci: "CI 任务",
        branch: "分支",
        commit: "提交",
        link: "链接",
        tags: "标签",
        run: "运行编号",
        note: "备注",
        log: "日志",
        attachments: "附件",
    },
    output: Output {
        whole: |holds, lines| format!("{}共 {lines} 行", stream(holds)),
        last: |holds, lines, before| {
            let before = before.map(|size| format!("，之前还有 {size}")).unwrap_or_default();
            format!("{}的最后 {lines} 行{before}", stream(holds))
        },
        none: "命令没有输出。",
        legend: "! 表示该行来自 stderr",
        left_out: |lines| format!("… 为控制邮件大小，此处省略 {lines} 行"),
        further_up: "前面的输出中：",
        between: |lines| format!("… 中间还有 {lines} 行"),
    },
    log: Logs {
        holds: |holds| match holds {
            Holds::Both => "stdout 和 stderr",
            Holds::Stdout => "stdout",
            Holds::Stderr => "stderr",
        },
        whole: |size| format!("已附上全部，{size}"),
        rest: |size| format!("已附上现存部分，{size}"),
        ends,
        packed: |size, zip| format!("已附上全部，{size}，压缩为 {zip} 的 .zip"),
        packed_rest: |size, zip| format!("已附上现存部分，{size}，压缩为 {zip} 的 .zip"),
        nothing: |size| format!("未附上（{size}）"),
        empty: "空",
        place: |path, host| format!("完整日志在 {host} 上：{path}"),
        trouble,
    },
    file: Files {
        attached: |size| format!("已附上（{size}）"),
        packed: |size, zip, why| {
            let why = match why {
                WhyPacked::Size => "",
                WhyPacked::Name => "：邮箱会拒收这种扩展名的文件",
            };
            format!("已附上，{size}，压缩为 {zip} 的 .zip{why}")
        },
        left_out,
        place: |path, host| format!("文件在 {host} 上：{path}"),
        more: |count| format!("另有 {count} 个文件"),
    },
    plain: "这封通知以纯文本发送，不带日志附件：邮件服务器把完整的邮件当作垃圾邮件，或认为它太大。\
            把发件人加入通讯录或白名单会有帮助。日志的位置见下文。",
    aside: |text| format!("（{text}）"),
    colon: "：",
    why: |user, host| {
        format!("您收到这封邮件，是因为 {user} 在 {host} 上用 notify-done 运行了这条命令，并把通知发给您。")
    },
    cpu: |all, user, system| format!("{all}（用户态 {user}，内核态 {system}）"),
    at_least: |duration| format!("至少 {duration}"),
    memory: |size| format!("{size}（最大的单个进程）"),
    redacted: |places| format!("这封邮件中有 {places} 处疑似密钥的内容已隐去。"),
};

fn interrupted_because(why: Death) -> &'static str {
    match why {
        Death::Killed => "状态未知：notify-done 的进程全部被终止（kill -9、内存不足、容器或作业结束）",
        Death::Rebooted => "状态未知：机器重启过或曾断电",
        Death::Silent => "状态未知：所在机器或容器已没有存活迹象",
    }
}

fn group_limit(limit: Option<&str>) -> String {
    limit.map(|limit| format!("（所在控制组上限 {limit}）")).unwrap_or_default()
}

fn stream(holds: Holds) -> &'static str {
    match holds {
        Holds::Both => "输出",
        Holds::Stdout => "stdout ",
        Holds::Stderr => "stderr ",
    }
}

fn signal_reason(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "终端已关闭",
        2 => "Ctrl-C",
        3 => "Ctrl-\\",
        4 => "使用了此 CPU 不支持的指令",
        6 => "程序自行中止",
        7 => "访问了不存在的内存，常因磁盘写满",
        8 => "除以零等运算错误",
        9 => "来自外部：内存不足、作业调度系统或 kill -9",
        11 => "访问了不属于它的内存",
        13 => "输出已无人读取",
        15 => "被要求停止",
        24 => "超出 CPU 时间限制",
        25 => "超出文件大小限制",
        _ => return None,
    })
}

/// The common ones; the others in the system's English.
fn errno_text(errno: i32) -> &'static str {
    match errno {
        libc::ENOENT => "没有那个文件或目录",
        libc::EACCES => "权限不够",
        libc::EPERM => "不允许的操作",
        libc::ENOEXEC => "可执行文件格式错误",
        libc::E2BIG => "参数列表过长",
        libc::ENOMEM => "内存不足",
        libc::ENOTDIR => "不是目录",
        libc::EISDIR => "是一个目录",
        libc::ETXTBSY => "文件正在被写入",
        libc::ENOSPC => "磁盘空间不足",
        libc::EDQUOT => "超出磁盘配额",
        libc::EROFS => "只读文件系统",
        libc::EIO => "输入输出错误",
        libc::EFBIG => "文件过大",
        libc::ETIMEDOUT => "超时",
        _ => amount::errno(errno),
    }
}

fn trouble(trouble: PartTrouble) -> String {
    match trouble {
        PartTrouble::Truncated => "命令运行期间此文件被截短，原有内容已丢失".to_owned(),
        PartTrouble::Replaced => "命令运行期间此文件被删除或替换，其中没有命令的输出".to_owned(),
        PartTrouble::Cut { bytes } => {
            format!("日志超过 log.max_size，中间 {} 未保留", amount::size(bytes))
        }
        PartTrouble::Gap { bytes, errno } => {
            format!("日志缺少 {}：无法写入（{}）", amount::size(bytes), errno_text(errno))
        }
        PartTrouble::Shrunk { bytes } => {
            format!("末尾 {} 已丢失：此文件在写邮件之前被截短", amount::size(bytes))
        }
        PartTrouble::Unreadable => "写邮件时已无法读取此文件".to_owned(),
    }
}

fn ends(ends: Ends<'_>) -> String {
    let Ends { all, head, tail, omitted, packed } = ends;
    let zip = packed.map(|zip| format!("，压缩为 {zip} 的 .zip")).unwrap_or_default();
    match head {
        Some(head) => format!("共 {all}，附上开头 {head} 和末尾 {tail}{zip}，中间省略 {omitted}"),
        None => format!("共 {all}，附上末尾 {tail}{zip}，之前省略 {omitted}"),
    }
}

fn left_out(why: &LeftOut, size: Option<&str>) -> String {
    let size = size.map(|size| format!("（{size}）")).unwrap_or_default();
    match why {
        LeftOut::Missing => "未附上：没有这个文件".to_owned(),
        LeftOut::NoMatch => "未附上：没有匹配的文件".to_owned(),
        LeftOut::Folder => "未附上：这是一个文件夹".to_owned(),
        LeftOut::NotRegular => "未附上：不是普通文件（设备、管道等）".to_owned(),
        LeftOut::Unreadable { errno } => format!("未附上：无法读取（{}）", errno_text(*errno)),
        LeftOut::Changed => format!("未附上：生成邮件时该文件被截短{size}"),
        LeftOut::ChangedSince => "未附上：运行结束后该文件又被改动".to_owned(),
        LeftOut::TooLarge => format!("未附上：邮件放不下{size}"),
        LeftOut::TooMany(1) => "未附上：文件太多，略去 1 个".to_owned(),
        LeftOut::TooMany(count) => format!("未附上：文件太多，略去包括它在内的 {count} 个"),
        LeftOut::NoSpace => format!("未附上：磁盘空间不足，无法生成带它的邮件{size}"),
        LeftOut::NoAnswer => "未附上：所在磁盘没有及时响应".to_owned(),
        LeftOut::PlainForm => format!("未附上{size}"),
    }
}
