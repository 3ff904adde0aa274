/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copyright (c) 2026 multikernel.core contributors */
/*
 * The smallest instance: a flat 64-bit payload, no operating system.
 *
 * Entered at its first byte (base + 0x200000) on the page tables and stack of the entry stub, interrupts off, with
 *	RDI = its mailbox	RSI = its boot_params
 * It writes its name into the mailbox, then beats once a second by the TSC, whose frequency it takes from tsc_early_khz= on its
 * command line.  It prints on the UART of earlycon=uart8250,io,0xPORT and on none when there is no such word: the others belong
 * to other kernels.  All addresses are relative to RIP, so it runs wherever it lies.
 */
	.set	MB_BEATS, 0x08
	.set	MB_TSC_FIRST, 0x10
	.set	MB_TSC_LAST, 0x18
	.set	MB_STATE, 0x20
	.set	MB_NPROC, 0x24
	.set	MB_UNAME, 0x40
	.set	RUNNING, 2
	.set	BP_EXT_CMD_LINE_PTR, 0xc8
	.set	BP_CMD_LINE_PTR, 0x228
	.set	DEFAULT_HZ, 1000000000

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
	movl	$1, MB_NPROC(%rbx)
	movl	$RUNNING, MB_STATE(%rbx)

beat:
	call	clock
	movq	%r12, MB_TSC_LAST(%rbx)
	incq	MB_BEATS(%rbx)
	leaq	message(%rip), %rsi
	call	print
3:	pause
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	%r12, %rax
	cmpq	%r14, %rax
	jb	3b
	jmp	beat

/* r12 = TSC; uses rax, rdx */
clock:
	rdtsc
	shlq	$32, %rdx
	leaq	(%rdx,%rax), %r12
	ret

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

	.section .note.GNU-stack,"",@progbits
