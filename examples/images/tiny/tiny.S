/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * The smallest instance: a flat 64-bit payload, no operating system.
 *
 * Entered at its first byte (base + 0x200000) on the page tables and stack of the entry stub, interrupts off, with
 *	RDI = its mailbox	RSI = its boot_params
 * It writes its name into the mailbox, then beats eight times a second by the TSC, whose frequency it takes from tsc_early_khz= on
 * its command line: whoever waits for a second beat, to see that it lives, waits an eighth of a second.  Every eighth beat it
 * prints a line on the UART of earlycon=uart8250,io,0xPORT, and on none when there is no such word: the others belong to other
 * kernels.  All addresses are relative to RIP, so it runs wherever it lies.
 *
 * With IN_A_PROCESS defined it keeps its hands off interrupts and the local APIC, so that a test can run it in a process.
 */
	.set	MB_BEATS, 0x08
	.set	MB_TSC_FIRST, 0x10
	.set	MB_TSC_LAST, 0x18
	.set	MB_STATE, 0x20
	.set	MB_NPROC, 0x24
	.set	MB_UNAME, 0x40
	.set	RUNNING, 2
	.set	RATE_SHIFT, 3
	.set	RATE, 1 << RATE_SHIFT	/* beats a second */
	.set	BP_EXT_CMD_LINE_PTR, 0xc8
	.set	BP_CMD_LINE_PTR, 0x228
	.set	DEFAULT_HZ, 1000000000
	.set	CODE, 0x10
	.set	ALARM, 0x40		/* interrupt vector */

	/* rbx mailbox, r12 TSC, r13 command line, r14 cycles in a second, r15 UART port or 0 */
	.text
	.code64
	.globl	_start
_start:
	jmp	start
	.balign	8
	.ascii	"MKFLAT01"		/* what tells a flat payload from any other file */
start:
	cld
	call	clock
	movq	%rdi, %rbx
	movq	%r12, MB_TSC_FIRST(%rbx)
	movl	BP_EXT_CMD_LINE_PTR(%rsi), %eax
	shlq	$32, %rax
	movl	BP_CMD_LINE_PTR(%rsi), %r13d
	orq	%rax, %r13

	leaq	name(%rip), %rsi
	leaq	MB_UNAME(%rbx), %rdi
	movl	$name_end - name, %ecx
	rep movsb

	movl	$DEFAULT_HZ, %r14d
	leaq	khz_word(%rip), %rsi
	call	find
	testq	%rsi, %rsi
	jz	1f
	movl	$10, %ecx
	call	number
	testq	%rax, %rax
	jz	1f
	imulq	$1000, %rax, %r14
1:
	xorl	%r15d, %r15d
	leaq	uart_word(%rip), %rsi
	call	find
	testq	%rsi, %rsi
	jz	2f
	movl	$16, %ecx
	call	number
	movzwl	%ax, %r15d
	call	open_uart
2:
#ifndef IN_A_PROCESS
	call	set_alarm
#endif
	movl	$1, MB_NPROC(%rbx)
	movl	$RUNNING, MB_STATE(%rbx)

beat:
	call	clock
	movq	%r12, MB_TSC_LAST(%rbx)
	testb	$RATE - 1, MB_BEATS(%rbx)
	leaq	message(%rip), %rsi
	jnz	2f
	call	print
2:	incq	MB_BEATS(%rbx)
3:
#ifndef IN_A_PROCESS
	sti
	hlt				/* until the alarm; an idle core is quiet, and an emulated one costs nothing */
	cli
#endif
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	%r12, %rax
	movq	%r14, %rcx
	shrq	$RATE_SHIFT + 1, %rcx	/* an alarm in time after one that was late counts; an NMI is no alarm */
	cmpq	%rcx, %rax
	jb	3b
	jmp	beat

/* r12 = TSC; uses rax, rdx */
clock:
	rdtsc
	shlq	$32, %rdx
	leaq	(%rdx,%rax), %r12
	ret

/*
 * The timer of the local APIC, RATE times a second, measured against the TSC.  The descriptor tables are our own: those of the
 * trampoline belong to the next kernel that is started.  r8 = 1 in x2APIC mode; uses rax, rcx, rdx, rsi, rdi, r9, r10.
 */
set_alarm:
	leaq	gdt(%rip), %rax
	movq	%rax, gdt_pointer+2(%rip)
	lgdt	gdt_pointer(%rip)
	leaq	idt(%rip), %rdi
	movq	%rdi, idt_pointer+2(%rip)
	xorl	%ecx, %ecx
1:	leaq	stop(%rip), %rax
	cmpl	$2, %ecx
	jne	2f
	leaq	ignore(%rip), %rax	/* NMI */
2:	cmpl	$32, %ecx
	jb	3f
	leaq	alarm(%rip), %rax
3:	movw	%ax, (%rdi)
	movw	$CODE, 2(%rdi)
	movw	$0x8e00, 4(%rdi)	/* present, interrupt gate */
	shrq	$16, %rax
	movw	%ax, 6(%rdi)
	shrq	$16, %rax
	movq	%rax, 8(%rdi)
	addq	$16, %rdi
	incl	%ecx
	cmpl	$256, %ecx
	jb	1b
	lidt	idt_pointer(%rip)

	movl	$0x1b, %ecx		/* IA32_APIC_BASE */
	rdmsr
	shrl	$10, %eax
	andl	$1, %eax
	movl	%eax, %r8d

	movl	$0x0f, %ecx		/* spurious vector register: switch on */
	movl	$0x1ff, %eax
	call	apic_write
	movl	$0x3e, %ecx		/* divide by 16 */
	movl	$3, %eax
	call	apic_write
	movl	$0x32, %ecx		/* masked while it is measured */
	movl	$0x10000 | ALARM, %eax
	call	apic_write
	movl	$0x38, %ecx		/* initial count */
	movl	$-1, %eax
	call	apic_write
	movq	%r14, %r10
	shrq	$7, %r10		/* 1/128 s */
	rdtsc
	shlq	$32, %rdx
	leaq	(%rdx,%rax), %r9
4:	pause
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	%r9, %rax
	cmpq	%r10, %rax
	jb	4b
	movl	$0x39, %ecx		/* current count */
	call	apic_read
	notl	%eax
	shll	$7 - RATE_SHIFT, %eax	/* 1/RATE s */
	movl	%eax, %r9d
	movl	$0x32, %ecx
	movl	$0x20000 | ALARM, %eax	/* periodic */
	call	apic_write
	movl	$0x38, %ecx
	movl	%r9d, %eax
	/* falls through */

/* ecx = register number (offset / 16), eax = value; uses rcx, rdx, rsi */
apic_write:
	xorl	%edx, %edx
	testl	%r8d, %r8d
	jz	1f
	addl	$0x800, %ecx
	wrmsr
	ret
1:	shll	$4, %ecx
	movl	$0xfee00000, %esi
	movl	%eax, (%rsi,%rcx)
	ret

/* ecx = register number -> eax; uses rcx, rdx, rsi */
apic_read:
	testl	%r8d, %r8d
	jz	1f
	addl	$0x800, %ecx
	rdmsr
	ret
1:	shll	$4, %ecx
	movl	$0xfee00000, %esi
	movl	(%rsi,%rcx), %eax
	ret

alarm:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	movl	$0x0b, %ecx		/* end of interrupt */
	xorl	%eax, %eax
	call	apic_write
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
ignore:
	iretq
stop:	/* an exception: the heartbeat ends, and that is how the host learns of it */
	cli
	hlt
	jmp	stop

/* rsi = word to look for -> rsi = what follows it in the command line, or 0; uses rax, rcx, rdi */
find:
	movq	%r13, %rdi
1:	xorl	%ecx, %ecx
2:	movb	(%rsi,%rcx), %al
	testb	%al, %al
	jz	4f			/* the whole word was there */
	cmpb	(%rdi,%rcx), %al
	jne	3f
	incq	%rcx
	jmp	2b
3:	movb	(%rdi), %al		/* on to the next word */
	testb	%al, %al
	jz	5f
	incq	%rdi
	cmpb	$' ', %al
	jne	3b
	jmp	1b
4:	leaq	(%rdi,%rcx), %rsi
	ret
5:	xorl	%esi, %esi
	ret

/* rsi = digits, ecx = base -> rax; uses rdx, rsi */
number:
	xorl	%eax, %eax
1:	movzbl	(%rsi), %edx
	incq	%rsi
	orb	$0x20, %dl		/* lower case; digits have this bit anyhow */
	subl	$'0', %edx
	cmpl	$10, %edx
	jb	2f
	subl	$'a' - '0' - 10, %edx
2:	cmpl	%ecx, %edx		/* unsigned: what is no digit is too big */
	jae	3f
	imulq	%rcx, %rax
	addq	%rdx, %rax
	jmp	1b
3:	ret

/* 115200 baud, 8n1, no interrupts; uses rax, rdx */
open_uart:
	leal	3(%r15), %edx
	movb	$0x80, %al		/* divisor latch */
	outb	%al, %dx
	movl	%r15d, %edx
	movb	$1, %al
	outb	%al, %dx
	incl	%edx
	xorl	%eax, %eax
	outb	%al, %dx
	leal	3(%r15), %edx
	movb	$3, %al
	outb	%al, %dx
	leal	1(%r15), %edx
	xorl	%eax, %eax
	outb	%al, %dx
	ret

/* rsi = text; a UART that is never ready costs a message, not the heartbeat; uses rax, rcx, rdx */
print:
	testl	%r15d, %r15d
	jz	4f
1:	cmpb	$0, (%rsi)
	je	4f
	movl	$100000, %ecx
	leal	5(%r15), %edx
2:	inb	%dx, %al
	testb	$0x20, %al		/* transmitter empty */
	jnz	3f
	decl	%ecx
	jnz	2b
	ret
3:	movb	(%rsi), %al
	movl	%r15d, %edx
	outb	%al, %dx
	incq	%rsi
	jmp	1b
4:	ret

name:		.asciz	"tiny 1.0 flat payload, no operating system"
name_end:
message:	.asciz	"tiny: beat\r\n"
khz_word:	.asciz	"tsc_early_khz="
uart_word:	.asciz	"earlycon=uart8250,io,0x"

	.balign	16
gdt:		.quad	0, 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdt_pointer:	.word	gdt_pointer - gdt - 1
		.quad	0
	.balign	16
idt_pointer:	.word	256 * 16 - 1
		.quad	0
	.balign	16
idt:		.fill	256 * 16, 1, 0

	.section .note.GNU-stack,"",@progbits
